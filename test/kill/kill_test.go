//go:build integration

// Package kill kills the server, again and again, and holds it to what it
// promises of a crash: no acknowledged run is lost, every run ends as it would
// have ended anyhow, and a call is made again only if nobody can know how it
// ended, and then as the same call.
//
// The server is the real binary on a journal of its own. The model endpoint is
// the simulator, in the process of the test, with a ledger of every call; so are
// the tools that some plans have. Many clients post runs, each repeating its request until it is acknowledged, and
// follow them. Meanwhile the server is killed with SIGKILL at random moments,
// also while it is coming up, and started again at once.
package kill

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tutti-run/tutti/internal/llm/simulator"
	"github.com/tutti-run/tutti/test/service"
)

var (
	kills = flag.Int("kill.kills", 200, "how often the server is killed")
	runs  = flag.Int("kill.runs", 2000, "how many runs are posted meanwhile")
	seed  = flag.Uint64("kill.seed", 0, "of the moments of the kills; 0: another one each time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(service.Main(m))
}

// parallel is how many clients there are.
const parallel = 24

func TestKill(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-kill.seed=%d", *seed)
	tasks := tasks()
	wanted := undisturbed(t, tasks)
	started := time.Now()

	p := newProcesses(t)
	models := simulate(t, func() { p.signs.give(called) })
	desk := openDesk(t)
	p.models, p.config = models.URL(), desk.config
	posted := make([]*run, *runs)
	for i := range posted {
		posted[i] = &run{key: fmt.Sprintf("kill-%d", i+1), task: tasks[i%len(tasks)]}
	}
	last, err := disturb(t.Context(), p, posted)
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(p, last, models.Requests(), wanted)
	j.judge(t, posted)
	desk.judge(t, posted)
	last.Stop()
	t.Logf("%s, in %s", j.summary(), time.Since(started).Round(time.Second))
}

// simulate serves the model endpoint, with a ledger that forgets nothing. Each
// call is told of as it arrives.
func simulate(t *testing.T, called func()) *simulator.Server {
	t.Helper()
	s, err := simulator.Listen(simulator.Options{
		Ledger: 100 * *runs,
		Fail:   func(simulator.Request) simulator.Fault { called(); return simulator.NoFault },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// disturb has all runs posted and followed to their ends, while the server is
// killed. It returns the last server, which lives.
func disturb(ctx context.Context, p *processes, posted []*run) (*service.Server, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work, ctx := errgroup.WithContext(ctx)
	pace := newPace(ctx)
	connections := &http.Transport{MaxIdleConnsPerHost: parallel}
	defer connections.CloseIdleConnections()
	c := &clients{processes: p, http: &http.Client{Transport: connections}, pace: pace}

	queue := make(chan *run)
	work.Go(func() error {
		defer close(queue)
		for i, r := range posted {
			due := i * *kills / *runs
			if !pace.until(func(kills, _ int) bool { return kills >= due }) {
				return nil
			}
			select {
			case queue <- r:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for range parallel {
		work.Go(func() error { return c.work(ctx, queue) })
	}

	last, err := p.succeed(ctx, &killer{rng: rand.New(rand.NewPCG(*seed, 0))}, pace)
	if err != nil {
		cancel(err)
	}
	if work.Wait() != nil || err != nil {
		return nil, context.Cause(ctx) // what failed first
	}
	return last, nil
}
