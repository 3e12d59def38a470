package local

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// To the driver a decision is an input that somebody waits for. Cancel stands for
// one that the run takes, whatever it is at; refused is one that no run takes.
var (
	taken   = orchestration.Cancel{Detail: "enough"}
	refused = orchestration.DecideSubtask{Subtask: "none", Action: orchestration.ActionApprove}
)

// deciding decides in another goroutine.
func deciding(t *testing.T, d *Driver, run string, said orchestration.Said) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- d.Decide(t.Context(), run, said) }()
	synctest.Wait()
	return answer
}

func wantAnswer(t *testing.T, what string, answer <-chan error, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-answer:
		if !errors.Is(err, want) {
			t.Errorf("%s: got error %v, want %v", what, err, want)
		}
	default:
		t.Errorf("%s: no answer", what)
	}
}

func wantNone(t *testing.T, what string, answer <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-answer:
		t.Errorf("%s: answered with error %v", what, err)
	default:
	}
}

// silent says nothing until it is canceled.
func silent(ctx context.Context, p orchestration.Performance) orchestration.Said {
	<-ctx.Done()
	return lost(p.Command)
}

func TestDecideWhereNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, silent)
		running, queued := start(t, d), start(t, d)
		for what, c := range map[string]struct {
			run  string
			want error
		}{
			"running": {running, orchestration.ErrNotWaiting},
			"queued":  {queued, orchestration.ErrNotWaiting},
			"unknown": {"run_none", orchestration.ErrNotFound},
		} {
			wantAnswer(t, what, deciding(t, d, c.run, refused), c.want)
			wantAnswer(t, what, deciding(t, d, c.run, orchestration.DecidePlan{Version: 1, Action: orchestration.ActionApprove}), c.want)
		}
		if got := told(t, j, running); got != "run.created, run.started, plan.started" {
			t.Errorf("told: %s", got)
		}
		if err := d.Cancel(t.Context(), running, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantAnswer(t, "ended", deciding(t, d, running, refused), orchestration.ErrNotFound)
		d.Close()
		wantAnswer(t, "closed", deciding(t, d, queued, refused), ErrClosed)
	})
}

// A run that the process may have died of waits for nobody until it is taken up.
func TestDecideSuspect(t *testing.T) {
	d := drive(t, open(t), silent)
	d.suspects = []*loop{{id: "run_suspect"}}
	if err := d.Decide(t.Context(), "run_suspect", refused); !errors.Is(err, orchestration.ErrNotWaiting) {
		t.Errorf("got error %v", err)
	}
}

// Who decides is answered when what follows is durable, and not before.
func TestDecideIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		flaky, away := leaving(j)
		d := drive(t, flaky, silent)
		run := start(t, d)
		synctest.Wait()
		away.Store(true)
		first := deciding(t, d, run, taken)
		second := deciding(t, d, run, refused)
		time.Sleep(time.Minute)
		wantNone(t, "storage is away", first)
		wantNone(t, "storage is away", second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Decide(ctx, run, refused); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one who waits no longer: %v", err)
		}
		away.Store(false)
		time.Sleep(lastAppendWait)
		wantAnswer(t, "storage is back", first, nil)
		wantAnswer(t, "refused", second, orchestration.ErrNotWaiting)
		if got := status(t, j, run); got != orchestration.StatusCanceled {
			t.Errorf("the run is %s", got)
		}
	})
}

// An append that fails for good is not the end of the run: all who decide are
// answered with nil only if their events are there, and not with a refusal for the
// sake of others' that are not.
func TestDecideWhenAnAppendFails(t *testing.T) {
	broken := errors.New("broken")
	for what, tc := range map[string]struct {
		append         func(keep func() error) error
		taken, refused error
	}{
		"broken":      {func(func() error) error { return broken }, broken, broken},
		"kept though": {func(keep func() error) error { return errors.Join(broken, keep()) }, nil, orchestration.ErrNotWaiting},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				var failing atomic.Bool
				d := New(Options{Logger: zap.NewNop(), Agent: agentFunc(silent), Journal: &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					keep := func() error { return j.Append(context.Background(), c) }
					if failing.Load() {
						return tc.append(keep)
					}
					return keep()
				}}})
				t.Cleanup(d.Close)
				run := start(t, d)
				synctest.Wait()
				failing.Store(true)
				a, b := make(chan error, 1), make(chan error, 1)
				// The loop is idle: the test acts in its place.
				if !d.runs[run].hear([]heard{{said: taken, answer: a}, {said: refused, answer: b}}) {
					t.Error("the run does not go on")
				}
				failing.Store(false)
				wantAnswer(t, "taken", a, tc.taken)
				wantAnswer(t, "refused", b, tc.refused)
			})
		})
	}
}

// A loop that ends without having taken a decision says so.
func TestDecideWhenTheLoopEnds(t *testing.T) {
	for what, want := range map[string]error{"let go": orchestration.ErrNotFound, "closed": ErrClosed} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := open(t)
				failure, created := orchestration.ErrUnavailable, false
				if what == "let go" {
					failure = orchestration.ErrConflict
				}
				d := drive(t, &wrapped{Journal: j, append: func(c orchestration.Commit) error {
					if created {
						time.Sleep(time.Second)
						return failure
					}
					created = true
					return j.Append(context.Background(), c)
				}}, silent)
				run := start(t, d)
				synctest.Wait()
				taken, refused := deciding(t, d, run, taken), deciding(t, d, run, refused) // the second while the first is appended
				wantNone(t, "taken", taken)
				if what == "closed" {
					d.Close()
				} else {
					time.Sleep(time.Second)
				}
				wantAnswer(t, "taken", taken, want)
				wantAnswer(t, "refused", refused, want)
			})
		})
	}
}

// Who decides while another input is what the run breaks of is answered, too, and
// the calls whose ends were to be heard with it do not hold up the run's.
func TestDecideWhenTheCorePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		var panics atomic.Bool
		over := make(chan struct{})
		spoken := func(_ context.Context, p orchestration.Performance) orchestration.Said {
			<-over // what it says is heard by the test
			return lost(p.Command)
		}
		d := New(Options{Journal: j, Agent: agentFunc(spoken), Logger: zap.NewNop(), Funcs: orchestration.Funcs{Tokens: func(text string) int {
			if panics.Load() {
				panic("broken")
			}
			return len(text)
		}}})
		bounded := spec()
		bounded.Limits.MaxTokens = 1_000_000
		bounded.Plan = &orchestration.Plan{Subtasks: []orchestration.Subtask{
			{ID: "a", Description: "one"}, {ID: "b", Description: "two"}, {ID: "c", Description: "three", DependsOn: []string{"a"}},
		}}
		row, err := d.Start(t.Context(), bounded, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l := d.runs[row.ID]
		panics.Store(true)
		answer := make(chan error, 1)
		l.hear([]heard{
			{said: refused, answer: answer},
			{said: orchestration.Worked{Subtask: "a", Attempt: 1, Output: "done"}, call: "subtask/a/1"},
			{said: orchestration.Worked{Subtask: "b", Attempt: 1, Output: "done"}, call: "subtask/b/1"},
		})
		wantAnswer(t, "decided", answer, errPanicked)
		if got := status(t, j, row.ID); got != orchestration.StatusFailed {
			t.Errorf("the run is %s: %s", got, told(t, j, row.ID))
		}
		over <- struct{}{}
		over <- struct{}{}
		d.Close()
	})
}

// A process that stops hears no decision any more, and says so.
func TestDecideWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, silent)
		run := start(t, d)
		synctest.Wait()
		l := d.runs[run]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stopped := make(chan struct{})
		go func() { defer close(stopped); d.Stop(ctx) }()
		synctest.Wait()
		wantAnswer(t, "stopping", deciding(t, d, run, taken), ErrClosed)
		answer := make(chan error, 1)
		l.say(heard{said: refused, answer: answer})
		wantAnswer(t, "on its way", answer, ErrClosed)
		<-stopped
		if err := l.over(); !errors.Is(err, ErrClosed) {
			t.Errorf("when it has stopped: %v", err)
		}
		if got := status(t, j, run); got != orchestration.StatusRunning {
			t.Errorf("the run is %s", got)
		}
	})
}

// Deciders and all else at once: each is answered.
func TestDecideRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := drive(t, j, diligent)
		run := start(t, d)
		const deciders = 64
		answers := make(chan error, deciders)
		for i := range deciders {
			go func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond) // the run takes four seconds
				answers <- d.Decide(t.Context(), run, refused)
			}()
		}
		counts := map[error]int{}
		for range deciders {
			counts[<-answers]++
		}
		if waiting := counts[orchestration.ErrNotWaiting]; waiting < 40 || waiting+counts[orchestration.ErrNotFound] != deciders {
			t.Errorf("%v", counts)
		}
	})
}
