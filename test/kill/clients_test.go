//go:build integration

package kill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/tutti-run/tutti/test/service"
)

// A run is what its client knows of it.
type run struct {
	key, task string // of the request: its idempotency key and its body
	id        string // once acknowledged
	seen      []sight
}

// A sight is an event that a reader saw, so that it must have been durable.
type sight struct {
	frame   service.Frame
	process int // this one or an earlier one had made it durable
}

// Clients post runs and read their events while servers come and go.
type clients struct {
	processes *processes
	http      *http.Client
	pace      *pace
}

// work posts runs, one after the other, and follows each to its end.
func (c *clients) work(ctx context.Context, runs <-chan *run) error {
	for r := range runs {
		if err := c.perform(ctx, r); err != nil {
			return fmt.Errorf("run %s with key %s: %w", r.id, r.key, err)
		}
	}
	return nil
}

func (c *clients) perform(ctx context.Context, r *run) error {
	if err := c.post(ctx, r); err != nil {
		return err
	}
	c.pace.acknowledged()
	if err := c.follow(ctx, r); err != nil {
		return err
	}
	return c.post(ctx, r) // as somebody who does not know does
}

// post sends a run until it is acknowledged. Every acknowledgement must be of
// the same run.
func (c *clients) post(ctx context.Context, r *run) error {
	return c.untilServed(ctx, func(s *service.Server) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/runs", strings.NewReader(r.task))
		if err != nil {
			return false, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", r.key)
		resp, err := c.http.Do(req)
		if err != nil {
			return false, errBroken
		}
		defer resp.Body.Close()
		// The acknowledgement is the status and the place; the body may break off.
		id := strings.TrimPrefix(resp.Header.Get("Location"), "/v1/runs/")
		switch {
		case resp.StatusCode != http.StatusAccepted:
			text, _ := io.ReadAll(resp.Body)
			return false, fmt.Errorf("a post was answered %d: %s", resp.StatusCode, text)
		case r.id != "" && r.id != id:
			return false, fmt.Errorf("the same request was acknowledged as %s and as %s", r.id, id)
		case r.id != "" && resp.Header.Get("Idempotency-Replayed") != "true":
			return false, errors.New("it was acknowledged twice as a new run")
		}
		c.processes.signs.give(acknowledged)
		r.id = id
		return true, nil
	})
}

// follow reads the run's events to its end, and goes on where a stream broke.
func (c *clients) follow(ctx context.Context, r *run) error {
	return c.untilServed(ctx, func(s *service.Server) (bool, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, service.Patience, fmt.Errorf("it does not end; its latest event is number %d", len(r.seen)))
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/runs/"+r.id+"/events", http.NoBody)
		if err != nil {
			return false, err
		}
		req.Header.Set("Accept", "text/event-stream")
		if n := len(r.seen); n > 0 {
			req.Header.Set("Last-Event-ID", r.seen[n-1].frame.ID)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return false, errBroken
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(resp.Body)
			return false, fmt.Errorf("after event %d, reading its events was answered %d: %s", len(r.seen), resp.StatusCode, text)
		}
		ended, err := c.read(resp.Body, r)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		return ended, err
	})
}

func (c *clients) read(body io.Reader, r *run) (ended bool, err error) {
	broke := service.Frames(body, func(f service.Frame) bool {
		if f.ID != strconv.Itoa(len(r.seen)+1) {
			err = fmt.Errorf("event %q came after number %d", f.ID, len(r.seen))
			return false
		}
		r.seen = append(r.seen, sight{f, c.processes.number()})
		c.processes.signs.give(told)
		ended = terminal(f.Event)
		return !ended
	})
	if err == nil && !ended {
		err = errBroken
		if broke == nil {
			err = errors.New("a stream ended before its run")
		}
	}
	return ended, err
}

func terminal(event string) bool {
	return event == "run.succeeded" || event == "run.failed" || event == "run.canceled"
}

// errBroken is the end of a connection: of its server, it is hoped.
var errBroken = errors.New("the connection broke")

// untilServed asks one server after the other until one has served. A
// connection may break with its server alone.
func (c *clients) untilServed(ctx context.Context, ask func(*service.Server) (bool, error)) error {
	var last *service.Server
	for {
		s, err := c.processes.await(ctx, last)
		if err != nil {
			return err
		}
		served, err := ask(s)
		if served || !errors.Is(err, errBroken) || ctx.Err() != nil {
			return err
		}
		last = s
	}
}

// A pace keeps runs and kills in step, so that there are runs at every kill: they
// are posted as the kills go on, and where that takes long the next kill waits.
type pace struct {
	mu           sync.Mutex
	changed      sync.Cond
	kills, acked int
	ended        bool
}

func newPace(ctx context.Context) *pace {
	p := new(pace)
	p.changed.L = &p.mu
	context.AfterFunc(ctx, func() { p.change(func() { p.ended = true }) })
	return p
}

func (p *pace) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

func (p *pace) acknowledged() { p.change(func() { p.acked++ }) }
func (p *pace) killed()       { p.change(func() { p.kills++ }) }

// until waits for a state. It reports whether that came before the end.
func (p *pace) until(reached func(kills, acked int) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.ended && !reached(p.kills, p.acked) {
		p.changed.Wait()
	}
	return !p.ended
}
