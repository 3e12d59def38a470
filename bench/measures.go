package main

import (
	"context"
	"fmt"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// promptBytes is about the size of every prompt.
const promptBytes = 2000

// taskBytes makes the service's prompts, with its own instructions, about that long.
const taskBytes = 900

// measureWall compares a run of 1 + 10 + 1 calls of 100 ms with the time that
// three such calls take, and with a loop that makes the twelve in a row.
func measureWall(ctx context.Context, h *harness, rounds int) error {
	if err := h.answer(100*time.Millisecond, 1200); err != nil {
		return err
	}
	s, err := h.serve(ctx, 64)
	if err != nil {
		return err
	}
	config := openai.DefaultConfig("none")
	config.BaseURL = "http://" + h.upstream + "/v1"
	direct := openai.NewClientWithConfig(config)
	var overThree, overTwelve sample
	for range rounds + 1 { // the first one warms up
		three, err := wall(func() error { return calls(ctx, direct, 3) })
		if err != nil {
			return err
		}
		run, err := wall(func() error { return s.run(ctx, text(taskBytes)) })
		if err != nil {
			return err
		}
		twelve, err := wall(func() error { return calls(ctx, direct, 12) })
		if err != nil {
			return err
		}
		overThree = append(overThree, run.Seconds()/three.Seconds())
		overTwelve = append(overTwelve, twelve.Seconds()/run.Seconds())
	}
	fmt.Printf("wall    one run of 1+10+1 calls of 100 ms, over three calls' time        %v\n", overThree[1:])
	fmt.Printf("wall    the same twelve calls one after the other, over the run          %v\n", overTwelve[1:])
	return nil
}

func calls(ctx context.Context, client *openai.Client, n int) error {
	for range n {
		if err := bareCall(ctx, client, text(promptBytes)); err != nil {
			return err
		}
	}
	return nil
}

func wall(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}

// Of measureCPU: runs in a round, and at once.
const (
	cpuRuns   = 400
	cpuAtOnce = 32
)

// measureCPU compares the CPU time a call of the service with that of the bare
// loop, which sends prompts of the same size.
func measureCPU(ctx context.Context, h *harness, rounds int) error {
	if err := h.answer(0, 1200); err != nil {
		return err
	}
	s, err := h.serve(ctx, 512)
	if err != nil {
		return err
	}
	calls, size, err := h.counts()
	if err != nil {
		return err
	}
	if err := s.runs(ctx, 100, cpuAtOnce, text(taskBytes)); err != nil { // warms up
		return err
	}
	callsAfter, sizeAfter, err := h.counts()
	if err != nil {
		return err
	}
	if callsAfter-calls != 1200 {
		return fmt.Errorf("100 runs made %d calls", callsAfter-calls)
	}
	mean := int(sizeAfter-size) / 1200
	in, out, err := h.self(ctx, "loop", "http://"+h.upstream+"/v1", fmt.Sprint(mean-60))
	if err != nil {
		return err
	}
	var service, loop, ratio, perSecond sample
	for round := range rounds + 1 {
		before, err := processCPU(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		took, err := wall(func() error { return s.runs(ctx, cpuRuns, cpuAtOnce, text(taskBytes)) })
		if err != nil {
			return err
		}
		after, err := processCPU(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		fmt.Fprintln(in, cpuRuns, cpuAtOnce)
		var bare int64
		if _, err := fmt.Fscan(out, &bare); err != nil {
			return err
		}
		if round == 0 {
			continue
		}
		mine := float64((after - before).Microseconds()) / (12 * cpuRuns)
		theirs := float64(bare) / 1e3 / (12 * cpuRuns)
		service, loop = append(service, mine), append(loop, theirs)
		ratio, perSecond = append(ratio, mine/theirs), append(perSecond, 12*cpuRuns/took.Seconds())
	}
	fmt.Printf("cpu     bytes of a request, in the mean                                  %d\n", mean)
	fmt.Printf("cpu     µs a call, the service (journal synchronous)                     %v\n", service)
	fmt.Printf("cpu     µs a call, a bare go-openai loop                                 %v\n", loop)
	fmt.Printf("cpu     the service over the loop                                        %v\n", ratio)
	fmt.Printf("cpu     calls per second through the service                             %v\n", perSecond)
	return nil
}

// measureMemory looks at the idle service, and then at one that has 1,000 runs
// of 10 subtasks in flight at once.
func measureMemory(ctx context.Context, h *harness, _ int) error {
	s, err := h.serve(ctx, 64)
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	idle, err := processMemory(s.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return err
	}
	if err := h.answer(100*time.Millisecond, 2000); err != nil {
		return err
	}
	if err := s.runs(ctx, 1000, 1000, text(taskBytes)); err != nil {
		return err
	}
	peak, err := processMemory(s.cmd.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	fmt.Printf("memory  MB of the idle service                                           %.1f\n", idle)
	fmt.Printf("memory  MB at most, with 1,000 runs of 10 subtasks in flight, 64 slots    %.1f\n", peak)
	return nil
}
