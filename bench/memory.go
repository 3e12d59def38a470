package main

import (
	"context"
	"time"
)

// measureMemory looks at the idle service, and then at one that has 1,000 runs
// of 10 subtasks in flight at once.
func measureMemory(ctx context.Context, h *harness, _ int) ([]figure, error) {
	s, err := h.serve(ctx, 64)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := h.answer(20*time.Millisecond, 2000); err != nil {
		return nil, err
	}
	time.Sleep(time.Second)
	idle, err := s.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	if err := s.runs(ctx, 1000, 1000, planned(taskBytes, "")); err != nil {
		return nil, err
	}
	peak, err := s.memory("VmHWM")
	return []figure{
		{What: "memory of the idle service", Unit: "MB", Values: sample{idle}, AtMost: 40},
		{What: "memory at most, 1,000 runs of 10 subtasks in flight, 64 slots", Unit: "MB", Values: sample{peak}, AtMost: 300},
	}, err
}

// Of measureFinished: the runs that fill the service's caches, of bounded sizes,
// and have the collector write its books, and those that come then.
const (
	firstRuns = 2_000
	moreRuns  = 10_000
)

// measureFinished looks at what finished runs leave in memory.
func measureFinished(ctx context.Context, h *harness, _ int) ([]figure, error) {
	if err := h.answer(0, 1200); err != nil {
		return nil, err
	}
	s, err := h.serve(ctx, 64)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	time.Sleep(time.Second)
	idle, err := s.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	given := request{
		"task":        text(taskBytes),
		"plan":        request{"subtasks": []request{{"description": "Say what stands out."}, {"description": "Say what does not."}}},
		"synthesizer": request{"mode": "none"},
	}
	settled := func(runs int) (float64, error) {
		if err := s.runs(ctx, runs, 64, given); err != nil {
			return 0, err
		}
		return s.settled()
	}
	first, err := settled(firstRuns)
	if err != nil {
		return nil, err
	}
	then, err := settled(moreRuns)
	return []figure{
		{What: "memory that 10,000 finished runs add", Unit: "MB", Values: sample{then - first}, AtMost: 10},
		{What: "  that the first 2,000 had added before", Unit: "MB", Values: sample{first - idle}},
	}, err
}

// settled returns the memory of the service once it has given back what it does
// not use, which it does when it is quiet.
func (s *service) settled() (float64, error) {
	busy, err := s.memory("VmRSS")
	now := busy
	for range 40 {
		if err != nil || now < 0.9*busy {
			break
		}
		time.Sleep(500 * time.Millisecond)
		now, err = s.memory("VmRSS")
	}
	return now, err
}
