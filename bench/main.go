// Command bench measures the service against the plainest programs that make
// the same calls: a bare errgroup loop on go-openai, and one that makes them one
// after the other. Figures are ratios of two things measured in one run, by
// turns, wherever there are two:
//
//   - wall: runs of 1 + 10 + 1 calls, over the critical path of the calls as the
//     model's endpoint saw them, and how much longer one after the other takes;
//   - load: the same with many runs at once, at the 50th and the 99th percentile;
//   - cpu: CPU time a call of the service, its journal synchronous, over that of
//     the bare loop, for small texts and for large ones;
//   - memory: of the idle service, and with 1,000 runs of 10 subtasks in flight;
//   - readers: what 1,000 readers of other runs' events take, in memory and of a
//     run's time;
//   - finished: what 10,000 finished runs leave in memory.
//
// The model's endpoint, the service and the loop are a process each; the runs'
// callers are this one. All addresses are on the loopback interface. It runs on
// Linux, as it reads /proc. A figure beyond its bound is said, and is no failure.
//
//	make bench
//	go run ./bench [-server FILE] [-rounds N] [-only wall,cpu] [-json FILE] [-chart FILE]
//	go run ./bench -from FILE -chart FILE      draws the chart of figures measured before
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	role := flag.String("role", "", "internal: upstream or loop, a process that the harness starts")
	flag.StringVar(&o.server, "server", "bin/server", "the server to measure: make release builds it")
	flag.IntVar(&o.rounds, "rounds", 9, "rounds of what is measured by turns")
	flag.StringVar(&o.only, "only", "", "what to measure, of "+strings.Join(names(), ",")+"; all by default")
	flag.StringVar(&o.json, "json", "", "where to write the figures as JSON")
	flag.StringVar(&o.chart, "chart", "", "where to write the figures that have bounds as an SVG")
	flag.StringVar(&o.from, "from", "", "JSON to take the figures from, instead of measuring")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch *role {
	case "upstream":
		return serveUpstream(ctx)
	case "loop":
		return runLoop(ctx, flag.Args())
	}
	return perform(ctx, o)
}

type options struct {
	server, only, json, chart, from string
	rounds                          int
}

// measures are what there is to measure. Each takes the number of rounds.
var measures = []struct {
	name string
	take func(context.Context, *harness, int) ([]figure, error)
}{
	{"wall", measureWall},
	{"load", measureLoad},
	{"cpu", measureCPU},
	{"memory", measureMemory},
	{"readers", measureReaders},
	{"finished", measureFinished},
}

func names() []string {
	var all []string
	for _, m := range measures {
		all = append(all, m.name)
	}
	return all
}

func perform(ctx context.Context, o options) (err error) {
	var r report
	if o.from != "" {
		r, err = readReport(o.from)
	} else {
		r, err = measure(ctx, o)
	}
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	if o.json != "" {
		err = r.write(o.json)
	}
	if o.chart != "" && err == nil {
		err = os.WriteFile(o.chart, r.chart(), 0o644)
	}
	return err
}

func measure(ctx context.Context, o options) (report, error) {
	only := strings.Split(cmp.Or(o.only, strings.Join(names(), ",")), ",")
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return report{}, fmt.Errorf("-only: there is no %q, only %s", name, strings.Join(names(), ", "))
		}
	}
	h, err := newHarness(ctx, o.server)
	if err != nil {
		return report{}, err
	}
	defer h.close()
	r := report{Machine: thisMachine(o.server), Rounds: o.rounds}
	for _, m := range measures {
		if !slices.Contains(only, m.name) {
			continue
		}
		began := time.Now()
		figures, err := m.take(ctx, h, o.rounds)
		if err != nil {
			return report{}, fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.0f s\n", m.name, time.Since(began).Seconds())
		r.Figures = append(r.Figures, figures...)
	}
	return r, nil
}
