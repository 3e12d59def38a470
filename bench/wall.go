package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// taskBytes makes the service's prompts, with its own instructions, about 2 kB
// long.
const taskBytes = 900

// measureWall compares a run of 1 + 10 + 1 calls with the critical path of its
// calls, as the bare loop's is, and with a loop that makes the twelve in a row.
func measureWall(ctx context.Context, h *harness, rounds int) ([]figure, error) {
	s, err := h.serve(ctx, 64)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	inMemory, err := h.serve(ctx, 64, "TUTTI_JOURNAL=mem:")
	if err != nil {
		return nil, err
	}
	defer inMemory.stop()
	bare, err := h.loop(ctx, 2000)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	long := figure{What: "wall over critical path, a run of 1+10+1 calls of 1 s", AtMost: 1.005, Least: 1}
	short := figure{What: "wall over critical path, a run of 1+10+1 calls of 100 ms", AtMost: 1.02, Least: 1}
	kept := figure{What: "  the same with a journal in memory"}
	loop := figure{What: "  the same of the bare loop, which keeps nothing"}
	row := figure{What: "  the same calls one after the other, over that run"}
	flush := figure{What: "  a flush of 8 kB to this disk: a run waits for four in a row", Unit: "ms"}
	for round := range rounds + 1 { // the first one warms up
		if err := h.answer(100*time.Millisecond, 1200); err != nil {
			return nil, err
		}
		ratio, took, err := s.overPath(ctx, h, h.newKey())
		if err != nil {
			return nil, err
		}
		without, _, err := inMemory.overPath(ctx, h, h.newKey())
		if err != nil {
			return nil, err
		}
		_, twelve, err := bare.runs(1, 0)
		if err != nil {
			return nil, err
		}
		if _, err := h.path(loopKey); err != nil { // of these twelve, which nobody asks for
			return nil, err
		}
		least, err := bare.overPath(h)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		short.Values = append(short.Values, ratio)
		kept.Values = append(kept.Values, without)
		loop.Values = append(loop.Values, least)
		row.Values = append(row.Values, twelve.Seconds()/took.Seconds())
		if err := h.answer(time.Second, 1200); err != nil {
			return nil, err
		}
		if ratio, _, err = s.overPath(ctx, h, h.newKey()); err != nil {
			return nil, err
		}
		long.Values = append(long.Values, ratio)
		took, err = wall(h.flush)
		if err != nil {
			return nil, err
		}
		flush.Values = append(flush.Values, took.Seconds()*1000)
	}
	return []figure{long, short, kept, loop, row, flush}, nil
}

// flush writes a page beside the journals and has it made durable.
func (h *harness) flush() error {
	f, err := os.OpenFile(filepath.Join(h.dir, "flushed"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 8<<10))
	return errors.Join(err, f.Sync(), f.Close())
}

// Of measureLoad: runs in a round, and at once.
const (
	loadRuns   = 100
	loadAtOnce = 16
)

// measureLoad is measureWall with many runs at once.
func measureLoad(ctx context.Context, h *harness, rounds int) ([]figure, error) {
	if err := h.answer(100*time.Millisecond, 1200); err != nil {
		return nil, err
	}
	s, err := h.serve(ctx, 512)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	what := fmt.Sprintf("wall over critical path, %d such runs at once, ", loadAtOnce)
	half, most := figure{What: what + "p50"}, figure{What: what + "p99"}
	for round := range rounds + 1 {
		var ratios [loadRuns]float64
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(loadAtOnce)
		for i := range ratios {
			key := h.newKey()
			group.Go(func() (err error) {
				ratios[i], _, err = s.overPath(ctx, h, key)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		if round > 0 {
			half.Values = append(half.Values, sample(ratios[:]).quantile(0.5))
			most.Values = append(most.Values, sample(ratios[:]).quantile(0.99))
		}
	}
	return []figure{half, most}, nil
}
