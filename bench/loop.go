package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"golang.org/x/sync/errgroup"
)

// loopKey is that of the loop's runs.
const loopKey = "loop"

// runLoop is the program to compare with: it makes the calls of a run, one for
// the plan, ten at once for the subtasks, one for the synthesis, and keeps
// nothing. Its arguments are the endpoint's URL and the size of a prompt; each
// line of its input "runs at-once" makes it perform so many runs, or where none
// are at once, all calls one after the other. It answers with the CPU time that
// it used and the time that passed, in nanoseconds.
func runLoop(ctx context.Context, args []string) error {
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	config := openai.DefaultConfig("none")
	config.BaseURL = args[0]
	config.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 512}}
	client := openai.NewClientWithConfig(config)
	mark := keyMark + loopKey + "]"
	plan, other := text(size-len(planMark)-len(mark))+string(planMark)+mark, text(size-len(mark))+mark
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var runs, atOnce int
		fmt.Sscan(lines.Text(), &runs, &atOnce)
		began, before := time.Now(), cpuTime()
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(atOnce, 1))
		for range runs {
			group.Go(func() error {
				if atOnce == 0 {
					return bareRow(ctx, client, plan, other)
				}
				return bareRun(ctx, client, plan, other)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		fmt.Println(int64(cpuTime()-before), int64(time.Since(began)))
	}
	return nil
}

func bareRow(ctx context.Context, client *openai.Client, plan, other string) error {
	err := bareCall(ctx, client, plan)
	for range 11 {
		if err == nil {
			err = bareCall(ctx, client, other)
		}
	}
	return err
}

func bareRun(ctx context.Context, client *openai.Client, plan, other string) error {
	if err := bareCall(ctx, client, plan); err != nil {
		return err
	}
	group, workCtx := errgroup.WithContext(ctx)
	for range 10 {
		group.Go(func() error { return bareCall(workCtx, client, other) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return bareCall(ctx, client, other)
}

func bareCall(ctx context.Context, client *openai.Client, prompt string) error {
	answer, err := client.CreateChatCompletion(ctx, openai.ChatCompletionRequest{
		Model:    "bench",
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: prompt}},
	})
	if err != nil {
		return err
	}
	if len(answer.Choices) == 0 {
		return fmt.Errorf("no answer")
	}
	return nil
}

// cpuTime returns the CPU time that this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// A loop is a process that performs runLoop.
type loop struct{ *process }

// loop starts one that sends prompts of so many bytes.
func (h *harness) loop(ctx context.Context, size int) (loop, error) {
	p, err := h.self(ctx, "loop", "http://"+h.address+"/v1", fmt.Sprint(size))
	return loop{p}, err
}

// runs has it perform runs.
func (l loop) runs(n, atOnce int) (cpu, took time.Duration, err error) {
	fmt.Fprintln(l.in, n, atOnce)
	_, err = fmt.Fscan(l.out, &cpu, &took)
	return cpu, took, err
}

// overPath returns the wall time of a run over the critical path of its calls.
func (l loop) overPath(h *harness) (float64, error) {
	_, took, err := l.runs(1, 1)
	if err != nil {
		return 0, err
	}
	path, err := h.path(loopKey)
	return took.Seconds() / path.Seconds(), err
}
