package journaltest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// delivery returns what the last event of a commit owes.
func delivery(c orchestration.Commit) orchestration.Delivery {
	ev := c.Events[len(c.Events)-1]
	return orchestration.Delivery{
		ID: fmt.Sprint("msg_", ev.Run, "_", ev.Seq), Tenant: c.Row.Tenant, Run: ev.Run, Seq: ev.Seq, Type: ev.Type(), Time: ev.Time,
		Status: c.Row.Status, URL: "https://example.com/" + Text,
	}
}

// owing returns a run's story in which each commit owes a delivery, and those.
func owing(tenant, run string) (commits []orchestration.Commit, owed []orchestration.Owed) {
	commits = Story(tenant, run)
	for i := range commits {
		d := delivery(commits[i])
		commits[i].Deliveries = []orchestration.Delivery{d}
		owed = append(owed, orchestration.Owed{Delivery: d, State: orchestration.DeliveryPending, Next: d.Time})
	}
	return commits, owed
}

func newest(owed []orchestration.Owed) []orchestration.Owed {
	owed = slices.Clone(owed)
	slices.Reverse(owed)
	return owed
}

func testDeliveries(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	commits, owed := owing("acme", "run_1")
	appendAll(t, j, commits[:3]...)
	late := Epoch.Add(time.Hour)
	want(t, "due", must(j.Due(ctx, late, 0))(t), owed[:3])
	want(t, "due, the first", must(j.Due(ctx, late, 2))(t), owed[:2])
	want(t, "due by then", must(j.Due(ctx, owed[1].Time, 0))(t), owed[:2])
	want(t, "due too early", must(j.Due(ctx, Epoch, 0))(t), nil)
	want(t, "newest", must(j.Deliveries(ctx, "acme", orchestration.DeliveryFilter{}))(t), newest(owed[:3]))

	wantErr(t, "append from where the run is not", j.Append(ctx, commits[5]), orchestration.ErrConflict)
	again := commits[3]
	again.Deliveries = append(again.Deliveries, owed[0].Delivery)
	appendAll(t, j, again)
	want(t, "one twice", must(j.Due(ctx, late, 0))(t), owed[:4])

	tries := []orchestration.Try{
		{Time: late, State: orchestration.DeliveryPending, Next: late.Add(time.Minute), Status: 503, Error: Text},
		{Time: late, State: orchestration.DeliveryDelivered, Next: late, Status: 204},
		{Time: late, State: orchestration.DeliveryDead, Error: "no such host"},
	}
	for i, try := range tries {
		wantErr(t, "tried", j.Tried(ctx, owed[i].ID, try), nil)
		o := &owed[i]
		o.State, o.Tries, o.Next, o.LastTry, o.LastStatus, o.LastError = try.State, 1, time.Time{}, late, try.Status, try.Error
	}
	owed[0].Next = tries[0].Next
	for _, i := range []int{1, 2} {
		wantErr(t, "tried when it is not pending", j.Tried(ctx, owed[i].ID, tries[0]), orchestration.ErrNotFound)
	}
	wantErr(t, "tried no delivery", j.Tried(ctx, "msg", tries[0]), orchestration.ErrNotFound)
	want(t, "due after tries", must(j.Due(ctx, late, 0))(t), owed[3:4])
	want(t, "due later", must(j.Due(ctx, owed[0].Next, 0))(t), []orchestration.Owed{owed[3], owed[0]})
	want(t, "after tries", must(j.Deliveries(ctx, "acme", orchestration.DeliveryFilter{}))(t), newest(owed[:4]))

	for _, i := range []int{1, 2} {
		wantErr(t, "another's again", j.Redeliver(ctx, "other", owed[i].ID, late), orchestration.ErrNotFound)
		wantErr(t, "again", j.Redeliver(ctx, "acme", owed[i].ID, late), nil)
		owed[i].State, owed[i].Tries, owed[i].Next = orchestration.DeliveryPending, 0, late
	}
	wantErr(t, "no delivery again", j.Redeliver(ctx, "acme", "msg", late), orchestration.ErrNotFound)
	want(t, "due again", must(j.Due(ctx, late, 0))(t), []orchestration.Owed{owed[3], owed[1], owed[2]})

	appendAll(t, j, commits[4:]...)
	wantErr(t, "delete", j.Delete(ctx, "acme", "run_1"), nil)
	want(t, "due of a deleted run", must(j.Due(ctx, late, 0))(t), nil)
	want(t, "deliveries of a deleted run", must(j.Deliveries(ctx, "acme", orchestration.DeliveryFilter{}))(t), nil)
	wantErr(t, "tried what was deleted", j.Tried(ctx, owed[0].ID, tries[0]), orchestration.ErrNotFound)
}

func testDeliveryLists(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	var all []orchestration.Owed
	for _, run := range []string{"run_1", "run_2"} {
		commits, owed := owing("acme", run)
		appendAll(t, j, commits...)
		all = append(all, owed...)
	}
	theirs, _ := owing("other", "run_3")
	appendAll(t, j, theirs...)
	for i := range all {
		if state := []orchestration.DeliveryState{orchestration.DeliveryDelivered, orchestration.DeliveryDead, ""}[i%3]; state != "" {
			wantErr(t, "tried", j.Tried(ctx, all[i].ID, orchestration.Try{State: state}), nil)
			all[i].State, all[i].Tries, all[i].Next = state, 1, time.Time{}
		}
	}
	all = newest(all)
	for _, state := range []orchestration.DeliveryState{"", orchestration.DeliveryPending, orchestration.DeliveryDelivered, orchestration.DeliveryDead} {
		for _, run := range []string{"", "run_1", "run_3", "run_4"} {
			var wanted, got []orchestration.Owed
			for _, o := range all {
				if (state == "" || o.State == state) && (run == "" || o.Run == run) {
					wanted = append(wanted, o)
				}
			}
			f := orchestration.DeliveryFilter{State: state, Run: run, Limit: 4}
			for {
				page := must(j.Deliveries(ctx, "acme", f))(t)
				if len(page) == 0 {
					break
				}
				if len(page) > f.Limit {
					t.Fatalf("a page of %d", len(page))
				}
				got = append(got, page...)
				f.Before = page[len(page)-1].ID
			}
			want(t, fmt.Sprintf("deliveries of %+v", f), got, wanted)
		}
	}
	for _, id := range []string{"msg", theirs[0].Deliveries[0].ID} {
		_, err := j.Deliveries(ctx, "acme", orchestration.DeliveryFilter{Before: id})
		wantErr(t, "deliveries before what is not one's own", err, orchestration.ErrNotFound)
	}
}

// testOwing looks for the signal after what makes deliveries due, and only then.
func testOwing(t *testing.T, j journal.Journal) {
	ctx := t.Context()
	signaled := func(what string, wanted bool) {
		t.Helper()
		select {
		case <-j.Owing():
			if !wanted {
				t.Errorf("signaled after %s", what)
			}
		default:
			if wanted {
				t.Errorf("not signaled after %s", what)
			}
		}
	}
	commits, owed := owing("acme", "run_1")
	signaled("nothing", false)
	appendAll(t, j, commits[:3]...)
	signaled("deliveries", true)
	signaled("its own signal", false)
	wantErr(t, "append twice", j.Append(ctx, commits[2]), orchestration.ErrConflict)
	signaled("an append refused", false)
	commits[3].Deliveries = nil
	appendAll(t, j, commits[3])
	signaled("a commit without deliveries", false)
	wantErr(t, "tried", j.Tried(ctx, owed[0].ID, orchestration.Try{State: orchestration.DeliveryDead}), nil)
	signaled("a try", false)
	wantErr(t, "again", j.Redeliver(ctx, "acme", owed[0].ID, Epoch), nil)
	signaled("what is asked for again", true)
	wantErr(t, "none again", j.Redeliver(ctx, "acme", "msg", Epoch), orchestration.ErrNotFound)
	signaled("nothing asked for again", false)
}
