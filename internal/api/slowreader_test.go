package api

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// longRun is a run whose events are larger than any buffer on their way.
func longRun() string {
	return `{"task":"t","plan":{"subtasks":[` + strings.Repeat(`{"description":"LONG"},`, 49) + `{"description":"LONG"}]}}`
}

func TestSlowReaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"LONG"}]}}`)
		answer := c.follow("/v1/runs/" + id + "/events")
		defer answer.Body.Close()
		synctest.Wait()
		if c.world.followers() != 1 {
			t.Fatal("nobody follows the run")
		}
		c.world.release(id)
		time.Sleep(readWithin - time.Second)
		synctest.Wait()
		if c.world.followers() != 1 {
			t.Error("the reader was cut too early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.world.followers() != 0 {
			t.Error("the reader was not cut")
		}
	})
}

// What a reader does not read waits in the journal, not in memory, and the run
// does not wait for it.
func TestSlowReaderHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(longRun())
		c.world.read = 0
		began := time.Now()
		const readers = 5
		for range readers {
			answer := c.follow("/v1/runs/" + id + "/events?deltas=true")
			t.Cleanup(func() { _ = answer.Body.Close() })
		}
		synctest.Wait()
		c.world.release(id)
		for i := range 10_000 {
			c.world.say(orchestration.Delta{Run: id, Subtask: "T1", Attempt: 1, Offset: i, Text: "x"})
		}
		row, err := c.world.Row(t.Context(), DefaultTenant, id)
		if err != nil || row.Status != orchestration.StatusSucceeded || time.Since(began) != 0 {
			t.Errorf("after %v the run is %s: %v", time.Since(began), row.Status, err)
		}
		synctest.Wait()
		if c.world.followers() != readers {
			t.Fatalf("%d readers are still there", c.world.followers())
		}
		if c.world.read > readers*50 {
			t.Errorf("%d events are held for %d readers that read nothing", c.world.read, readers)
		}
	})
}

// A reader that was cut off comes again with the last id that it has, as often as
// it must, and has missed nothing in the end.
func TestSlowReaderResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(longRun())
		c.world.release(id)
		var all []sse
		cuts := -1
		for last := ""; len(all) == 0 || all[len(all)-1].event != "run.succeeded"; cuts++ {
			answer := c.follow("/v1/runs/"+id+"/events", "Last-Event-ID", last)
			if cuts < 5 {
				time.Sleep(readWithin + time.Second) // others follow a run, and this one does something else
			}
			all = append(all, frames(t, answer.Body, nil)...)
			answer.Body.Close()
			if len(all) > 0 {
				last = all[len(all)-1].id
			}
			if cuts > 100 {
				t.Fatal("it does not get on")
			}
		}
		if cuts < 5 {
			t.Errorf("it was cut off %d times", cuts)
		}
		for i, f := range all {
			if f.id != strconv.Itoa(i+1) {
				t.Fatalf("event %s came after number %d", f.id, i)
			}
		}
		if n := len(c.world.runs[0].events); len(all) != n {
			t.Errorf("it has %d of %d events", len(all), n)
		}
	})
}

// A reader that is slow with deltas misses some, and their offsets show which.
func TestSlowReaderMissesDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const said = 10_000
		c := serve(t, func(_ *Options, w *world) { w.held = true })
		id := c.start(`{"task":"t","plan":{"subtasks":[{"description":"d"}]}}`)
		answer := c.follow("/v1/runs/" + id + "/events?deltas=true&after=4")
		defer answer.Body.Close()
		synctest.Wait()
		for i := range said {
			c.world.say(orchestration.Delta{Run: id, Subtask: "T1", Attempt: 1, Offset: i, Text: "x"})
		}
		c.world.release(id)
		all := frames(t, answer.Body, nil)
		deltas := strings.Count(types(all), "delta")
		if deltas < maxDeltas || deltas >= said/2 {
			t.Errorf("it has %d of %d deltas", deltas, said)
		}
		if rest := strings.ReplaceAll(types(all), "delta,", ""); rest != "subtask.started,subtask.succeeded,run.succeeded" {
			t.Errorf("the other frames are %s", rest)
		}
	})
}
