// Command bench measures the service against the plainest program that makes
// the same calls, as ratios of two things measured in one run:
//
//   - wall: one run of 1 + 10 + 1 calls, against the time of three calls and
//     against a loop that makes the twelve one after the other;
//   - cpu: CPU time a call of the service's process, its journal synchronous,
//     against that of a bare errgroup loop on go-openai, in rounds by turns;
//   - memory: of the idle service, and with 1,000 runs of 10 subtasks in flight.
//
// The model's endpoint, the service and the loop are a process each. All
// addresses are on the loopback interface. It runs on Linux, as it reads
// /proc.
//
//	make bench
//	go run ./bench [-server FILE] [-rounds N] [-only wall,cpu,memory]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	role := flag.String("role", "", "internal: upstream or loop, a process that the harness starts")
	rounds := flag.Int("rounds", 9, "rounds of cpu and wall")
	server := flag.String("server", "bin/server", "the server to measure: make release builds it")
	only := flag.String("only", "wall,cpu,memory", "what to measure")
	flag.Parse()
	if err := perform(*role, *server, *rounds, strings.Split(*only, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func perform(role, server string, rounds int, only []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch role {
	case "upstream":
		return serveUpstream(ctx)
	case "loop":
		return runLoop(ctx, flag.Args())
	}
	return measure(ctx, server, rounds, only)
}

func measure(ctx context.Context, server string, rounds int, only []string) error {
	h, err := newHarness(ctx, server)
	if err != nil {
		return err
	}
	defer h.close()
	for _, m := range []struct {
		name string
		run  func(context.Context, *harness, int) error
	}{{"wall", measureWall}, {"cpu", measureCPU}, {"memory", measureMemory}} {
		if slices.Contains(only, m.name) {
			if err := m.run(ctx, h, rounds); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return nil
}
