package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Of measureReaders. The runs that are followed go one call after the other,
// each of two seconds with two events.
const (
	readers  = 1000
	followed = 20 // runs
	between  = 3  // runs that are timed with readers, and without, in a round
)

// measureReaders looks at what many readers of events take in memory, and of the
// time of a run that none of them follows.
func measureReaders(ctx context.Context, h *harness, rounds int) ([]figure, error) {
	if err := h.answer(100*time.Millisecond, 1200); err != nil {
		return nil, err
	}
	figures, err := readersMemory(ctx, h)
	if err != nil {
		return nil, err
	}
	ratio, err := readersWall(ctx, h, rounds)
	return append(figures, figure{
		What: "wall of a run beside 1,000 readers of others, over without", Values: ratio, AtMost: 1.02, Least: 1,
	}), err
}

// readersMemory tells garbage from memory by a collector that leaves little.
func readersMemory(ctx context.Context, h *harness) ([]figure, error) {
	s, err := h.serve(ctx, 64, "GOGC=10")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	runs, err := s.follow(ctx)
	if err != nil {
		return nil, err
	}
	time.Sleep(3 * time.Second)
	before, err := s.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	a, err := s.attend(ctx, runs)
	if err != nil {
		return nil, err
	}
	defer a.leave()
	time.Sleep(time.Second) // what was there already
	seen := a.events.Load()
	cpu, _, took, err := h.used(s, func() error { time.Sleep(4 * time.Second); return nil })
	if err != nil {
		return nil, err
	}
	events := float64(a.events.Load() - seen)
	after, err := s.memory("VmRSS")
	return []figure{
		{What: "memory of a reader of events, one of 1,000 (GOGC=10)", Unit: "kB", Values: sample{(after - before) * 1024 / readers}, AtMost: 64},
		{What: "  events that each of them gets", Unit: "1/s", Values: sample{events / readers / took.Seconds()}},
		{What: "  CPU of the service for each", Unit: "µs", Values: sample{float64(cpu.Microseconds()) / events}},
	}, err
}

func readersWall(ctx context.Context, h *harness, rounds int) (ratio sample, err error) {
	s, err := h.serve(ctx, 64)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	runs, err := s.follow(ctx)
	if err != nil {
		return nil, err
	}
	timed := func() (float64, error) {
		var all sample
		for range between {
			took, err := wall(func() error { return s.run(ctx, planned(taskBytes, "")) })
			if err != nil {
				return 0, err
			}
			all = append(all, took.Seconds())
		}
		return all.median(), nil
	}
	if _, err := timed(); err != nil { // warms up
		return nil, err
	}
	for range rounds {
		without, err := timed()
		if err != nil {
			return nil, err
		}
		a, err := s.attend(ctx, runs)
		if err != nil {
			return nil, err
		}
		time.Sleep(time.Second) // what was there already
		with, err := timed()
		a.leave()
		time.Sleep(time.Second) // until the service has seen them go
		if err != nil {
			return nil, err
		}
		ratio = append(ratio, with/without)
	}
	return ratio, nil
}

// follow starts the runs that are to be followed, and returns their ids.
func (s *service) follow(ctx context.Context) (runs []string, err error) {
	var subtasks []request
	for range 100 {
		subtasks = append(subtasks, request{"description": "Go on."})
	}
	for range followed {
		status, answer, err := s.start(ctx, request{
			"task": "Go on for long.", "worker": request{"model": "slow"}, "synthesizer": request{"mode": "none"},
			"plan": request{"order": "sequential", "subtasks": subtasks},
		}, 0)
		if err != nil {
			return nil, err
		}
		var run struct{ ID string }
		if json.Unmarshal(answer, &run); status != http.StatusAccepted {
			return nil, fmt.Errorf("a run to be followed: status %d: %.300s", status, answer)
		}
		runs = append(runs, run.ID)
		time.Sleep(2 * time.Second / followed)
	}
	return runs, nil
}

// An audience is readers of events.
type audience struct {
	events atomic.Int64
	cancel context.CancelFunc
	seats  sync.WaitGroup
}

// attend has readers follow the runs, as many each.
func (s *service) attend(ctx context.Context, runs []string) (*audience, error) {
	a := &audience{}
	ctx, a.cancel = context.WithCancel(ctx)
	var group errgroup.Group
	group.SetLimit(64)
	for i := range readers {
		group.Go(func() error {
			body, err := s.events(ctx, runs[i%len(runs)])
			if err == nil {
				a.seats.Go(func() { a.read(body) })
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		a.leave()
		return nil, err
	}
	return a, nil
}

func (a *audience) read(body io.ReadCloser) {
	defer body.Close()
	var buf [8 << 10]byte
	for {
		n, err := body.Read(buf[:])
		a.events.Add(int64(bytes.Count(buf[:n], []byte("\nevent: "))))
		if err != nil {
			return
		}
	}
}

func (a *audience) leave() {
	a.cancel()
	a.seats.Wait()
}

func (s *service) events(ctx context.Context, run string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/runs/"+run+"/events", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("events: %s", resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}
