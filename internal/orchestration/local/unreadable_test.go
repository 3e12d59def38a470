package local

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// An illegible journal has a run that nobody can read.
type illegible struct {
	journal.Journal
	run string
}

func (j *illegible) Events(ctx context.Context, run string, after int64, limit int) ([]orchestration.Event, error) {
	if run == j.run {
		return nil, errors.New("this is no JSON")
	}
	return j.Journal.Events(ctx, run, after, limit)
}

// A run that cannot be read is left as it is, whether it had begun or queued: the
// others go on, and it takes no place from them.
func TestARunThatCannotBeRead(t *testing.T) {
	for name, which := range map[string]int{"begun": 0, "queued": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := open(t)
				first := narrow(t, kept, diligent)
				runs := []string{start(t, first), start(t, first), start(t, first)}
				synctest.Wait()
				first.Close()
				j := &illegible{kept, runs[which]}
				second := narrow(t, j, diligent)
				if err := second.Resume(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				synctest.Wait()
				for i, run := range runs {
					if got := status(t, j, run); (got == orchestration.StatusSucceeded) == (i == which) {
						t.Errorf("run %d is %s", i, got)
					}
				}
				if second.begun != 0 || second.Queued() != 0 {
					t.Errorf("%d runs have a place and %d queue", second.begun, second.Queued())
				}
			})
		})
	}
}

// A run is not left for storage that is away while the driver starts.
func TestResumeWhileTheStorageIsAway(t *testing.T) {
	d := drive(t, away{open(t)}, diligent)
	if err := d.Resume(t.Context()); !errors.Is(err, orchestration.ErrUnavailable) {
		t.Errorf("got error %v", err)
	}
}

// away is a journal that lists its runs, and whose storage then fails.
type away struct{ journal.Journal }

func (away) Unfinished(context.Context) ([]orchestration.Row, error) {
	return []orchestration.Row{{ID: "run_1", Tenant: "default", Status: orchestration.StatusRunning}}, nil
}

func (away) Events(context.Context, string, int64, int) ([]orchestration.Event, error) {
	return nil, orchestration.ErrUnavailable
}

// A run of which there is nothing to be read takes no place.
func TestResumeOfARunWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drive(t, hollow{away{open(t)}}, diligent)
		if err := d.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if d.begun != 0 || d.Drives("run_1") {
			t.Error("the run is driven")
		}
	})
}

// A run whose last events are lost is not driven: whatever it appended would clash.
func TestResumeOfARunWithoutItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		first := drive(t, j, silent)
		run := start(t, first)
		synctest.Wait()
		first.Close()
		second := drive(t, &further{j}, silent)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if second.Drives(run) {
			t.Error("the run is driven")
		}
	})
}

// further is a journal whose rows are further than its events.
type further struct{ journal.Journal }

func (j *further) Unfinished(ctx context.Context) ([]orchestration.Row, error) {
	rows, err := j.Journal.Unfinished(ctx)
	for i := range rows {
		rows[i].Seq++
	}
	return rows, err
}

// hollow is a journal that lists a run and has no events of it.
type hollow struct{ away }

func (hollow) Events(context.Context, string, int64, int) ([]orchestration.Event, error) {
	return nil, nil
}

// What is driven is told apart from what only queues or is left as it is.
func TestDrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		d := narrow(t, j, silent)
		begun, queued := start(t, d), start(t, d)
		d.suspects = []*loop{{id: "run_suspect"}}
		for run, want := range map[string]bool{begun: true, queued: false, "run_suspect": true, "run_none": false} {
			if d.Drives(run) != want {
				t.Errorf("%s: driven %v", run, !want)
			}
		}
		d.suspects = nil
	})
}

// A page of the journal may have fewer events than were asked for.
func TestResumeByShortPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t)
		first := narrow(t, j, silent)
		run, queued := start(t, first), start(t, first)
		synctest.Wait()
		first.Close()
		second := narrow(t, short{j}, diligent)
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, run := range []string{run, queued} {
			if got := status(t, j, run); got != orchestration.StatusSucceeded {
				t.Errorf("the run is %s", got)
			}
		}
	})
}

// short is a journal whose pages have one event.
type short struct{ journal.Journal }

func (j short) Events(ctx context.Context, run string, after int64, _ int) ([]orchestration.Event, error) {
	return j.Journal.Events(ctx, run, after, 1)
}
