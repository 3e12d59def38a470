package main

import (
	"context"
	"fmt"
	"time"
)

// A size is how long the texts of calls are.
type size struct {
	what         string
	task, answer int     // bytes
	runs         int     // in a round: for more than a second, as CPU time is told in steps of 10 ms
	atMost       float64 // bound of the service's CPU over the bare loop's
}

var sizes = []size{
	{"2 kB prompts, 1.2 kB answers", taskBytes, 1200, 1000, 1.4},
	{"20 kB prompts, 10 kB answers", taskBytes + 18_000, 10_000, 300, 1.1},
}

// cpuAtOnce is how many runs of measureCPU are under way at once.
const cpuAtOnce = 32

// measureCPU compares the CPU time a call of the service with that of the bare
// loop, which sends prompts of the same size. The model answers at once.
func measureCPU(ctx context.Context, h *harness, rounds int) ([]figure, error) {
	s, err := h.serve(ctx, 512)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var all []figure
	for _, z := range sizes {
		if err := h.answer(0, z.answer); err != nil {
			return nil, err
		}
		mean, err := meanRequest(ctx, h, s, z)
		if err != nil {
			return nil, err
		}
		figures, err := compareCPU(ctx, h, s, z, mean, rounds)
		if err != nil {
			return nil, err
		}
		all = append(all, figures...)
	}
	return all, nil
}

// meanRequest returns the bytes of a request in the mean: a synthesis is longer
// than the rest. It warms the service up.
func meanRequest(ctx context.Context, h *harness, s *service, z size) (int, error) {
	calls, bytes, err := h.counts()
	if err != nil {
		return 0, err
	}
	if err := s.runs(ctx, z.runs/2, cpuAtOnce, planned(z.task, "")); err != nil {
		return 0, err
	}
	callsAfter, bytesAfter, err := h.counts()
	if err != nil {
		return 0, err
	}
	if made := callsAfter - calls; made != int64(z.runs/2*12) {
		return 0, fmt.Errorf("%d runs made %d calls", z.runs/2, made)
	}
	return int(bytesAfter-bytes) / (z.runs / 2 * 12), nil
}

// envelope is about what a request of the loop has round its prompt.
const envelope = 60

func compareCPU(ctx context.Context, h *harness, s *service, z size, mean, rounds int) ([]figure, error) {
	bare, err := h.loop(ctx, mean-envelope)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	calls := float64(12 * z.runs)
	each := func(cpu time.Duration) float64 { return float64(cpu.Microseconds()) / calls }
	var service, loop, upstream, ratio, rate, loopRate sample
	for round := range rounds + 1 { // the first one warms up
		cpu, served, took, err := h.used(s, func() error { return s.runs(ctx, z.runs, cpuAtOnce, planned(z.task, "")) })
		if err != nil {
			return nil, err
		}
		loopCPU, loopTook, err := bare.runs(z.runs, cpuAtOnce)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		service, loop, upstream = append(service, each(cpu)), append(loop, each(loopCPU)), append(upstream, each(served))
		ratio = append(ratio, cpu.Seconds()/loopCPU.Seconds())
		rate, loopRate = append(rate, calls/took.Seconds()), append(loopRate, calls/loopTook.Seconds())
	}
	return []figure{
		{What: "CPU a call over a bare loop's, " + z.what, Values: ratio, AtMost: z.atMost},
		{What: fmt.Sprintf("  the service (requests of %.1f kB in the mean)", float64(mean)/1000), Unit: "µs", Values: service},
		{What: "  the bare loop", Unit: "µs", Values: loop},
		{What: "  the model's endpoint, for the service", Unit: "µs", Values: upstream},
		{What: "  calls a second through the service", Unit: "1/s", Values: rate},
		{What: "  calls a second of the bare loop", Unit: "1/s", Values: loopRate},
	}, nil
}

// used returns the CPU time that the service and the endpoint use for something,
// and how long it takes.
func (h *harness) used(s *service, f func() error) (service, upstream, took time.Duration, err error) {
	before, err := s.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	servedBefore, err := h.upstream.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	if took, err = wall(f); err != nil {
		return 0, 0, 0, err
	}
	after, err := s.cpu()
	if err != nil {
		return 0, 0, 0, err
	}
	served, err := h.upstream.cpu()
	return after - before, served - servedBefore, took, err
}
