package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// A world is what a seed makes happen.
type world struct {
	t       *testing.T
	ctx     context.Context
	seed    uint64
	born    time.Time
	journal journal.Journal
	outages [][2]time.Time // when the storage is away
	grim    bool           // many short lives, and many calls that never end
	maxRuns int
	queue   int
	budget  float64 // of each tenant, in dollars

	mu        sync.Mutex
	faults    []string
	seen      tally
	serving   *process // that callers reach; nil: none
	processes []*process
	stopping  int                  // processes that are being stopped: the storage is well meanwhile
	durable   map[string][]durable // events by run, in their order
	order     []string             // runs, as they came to be
	given     map[string]*orchestration.Spec
	wishes    map[string]time.Time // when cancels were answered, by run
	calls     []*call              // in the order of their beginning
	performed map[string]*call     // by run and command
	tries     map[string]int       // of an append
	held      map[hold]float64
	cache     map[string]orchestration.Cached // by tenant and key
	people    sync.WaitGroup                  // who are asked
}

// A durable event is one in the journal, since when and by whom.
type durable struct {
	orchestration.Event
	at time.Time
	by *process
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, ctx: t.Context(), seed: seed, born: time.Now(),
		durable: map[string][]durable{}, given: map[string]*orchestration.Spec{},
		wishes: map[string]time.Time{}, performed: map[string]*call{}, seen: tally{}, tries: map[string]int{}, held: map[hold]float64{},
		cache: map[string]orchestration.Cached{},
	}
	j, err := journal.Open(w.ctx, "mem:", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.journal = j
	r := w.roll("world")
	w.grim = oneIn(r, 4)
	w.maxRuns = pick(r, 0, 1, 1, 2, 3)
	w.queue = pick(r, 0, 2, 10)
	w.budget = pick(r, 1e6, 1e6, 0.05)
	for range r.IntN(3) {
		from := w.born.Add(upTo(r, 3*time.Minute))
		w.outages = append(w.outages, [2]time.Time{from, from.Add(upTo(r, 40*time.Second))})
	}
	return w
}

// roll returns random numbers that follow from the seed and a name alone, and not
// from what else goes on at the same moment.
func (w *world) roll(name ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, name...)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// fault notes that something is wrong. The lock is held.
func (w *world) fault(format string, args ...any) {
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf("%v: ", time.Since(w.born))+fmt.Sprintf(format, args...))
	}
}

// play has everything happen, until every run has ended.
func (w *world) play() {
	r := w.roll("lives")
	var callers sync.WaitGroup
	for i := range 2 + r.IntN(6) {
		callers.Go(func() { w.caller(i) })
	}
	lives := r.IntN(4)
	if w.grim {
		lives = 6 + r.IntN(5)
	}
	var dying sync.WaitGroup
	for n := range lives {
		w.live(n, &dying)
	}
	last := w.boot(lives, 0)
	callers.Wait()
	const longest = 3 * time.Hour
	for until := time.Now().Add(longest); !w.allEnded(); time.Sleep(time.Second) {
		if time.Now().After(until) {
			w.mu.Lock()
			w.fault("not every run has ended, %v after the last process came up", longest)
			w.mu.Unlock()
			break
		}
	}
	w.people.Wait()
	w.stop(last, time.Minute)
	dying.Wait()
}

// live has a process come up, live for a while, and end in one way or another.
func (w *world) live(n int, dying *sync.WaitGroup) {
	r := w.roll("life", n)
	dieAt, most := 0, time.Minute
	if w.grim {
		most = 8 * time.Second
	}
	if oneIn(r, 2) {
		dieAt = 1 + r.IntN(80)
		if w.grim {
			dieAt = 1 + r.IntN(25)
		}
	}
	p := w.boot(n, dieAt)
	age := time.NewTimer(upTo(r, most))
	defer age.Stop()
	select {
	case <-p.died:
	case <-age.C:
	}
	switch kind := r.IntN(10); {
	case p.is(dead) || kind < 5 || w.grim && kind < 9:
		p.become(dead)
		w.count("crash")
	case kind < 8:
		w.count("stop")
		w.stop(p, pick(r, 0, upTo(r, time.Second), upTo(r, 30*time.Second)))
	default:
		p.become(fenced)
		w.count("zombie")
	}
	linger := pick(r, 0, upTo(r, 20*time.Second), upTo(r, 2*time.Minute))
	dying.Go(func() {
		time.Sleep(linger) // its calls go on, and nobody hears of them
		p.driver.Close()
	})
	time.Sleep(pick(r, 0, upTo(r, 3*time.Second), upTo(r, 20*time.Second)))
}

// boot brings a process up that takes the runs over. What cannot read the journal
// dies, and is started again.
func (w *world) boot(n, dieAt int) *process {
	for try := 0; ; try++ {
		p := newProcess(w, fmt.Sprintf("%d.%d", n, try), dieAt)
		w.mu.Lock()
		w.processes = append(w.processes, p)
		w.mu.Unlock()
		if err := p.driver.Resume(w.ctx); err == nil {
			w.mu.Lock()
			if p.state == alive {
				w.serving = p
			}
			w.mu.Unlock()
			return p
		}
		died := p.is(dead)
		p.become(dead)
		p.driver.Close()
		if died {
			return p
		}
		time.Sleep(time.Second)
	}
}

// stop has a process stop in an orderly way.
func (w *world) stop(p *process, grace time.Duration) {
	ctx, cancel := context.WithTimeout(w.ctx, grace)
	defer cancel()
	w.mu.Lock()
	w.stopping++
	if p.state == alive {
		p.state = stopped
	}
	w.mu.Unlock()
	p.driver.Stop(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping--
	if w.serving == p {
		w.serving = nil
	}
	p.over = time.Now()
	for _, c := range w.calls {
		if c.by == p && c.ended.IsZero() {
			w.fault("%s is in flight after the driver has stopped", c)
		}
	}
}

func (w *world) allEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(w.order, func(run string) bool { return !w.ended(run) })
}

// ended reports whether a run's end is durable. The lock is held.
func (w *world) ended(run string) bool {
	events := w.durable[run]
	return len(events) > 0 && events[len(events)-1].Terminal()
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[what]++
}
