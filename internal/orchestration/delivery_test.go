package orchestration

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// runWaiting is an event of its type, whatever its fact.
type runWaiting struct{}

func (runWaiting) Type() string { return "run.waiting" }

func TestOwes(t *testing.T) {
	spec := specOf(t, nil)
	spec.Tenant, spec.Webhook = "acme", "https://example.org/hook?key=1"
	r := New(Funcs{})
	begun, _, err := r.Step(Input{Time: epoch, Said: Start{ID: "run_1f", Spec: spec}})
	if err != nil {
		t.Fatal(err)
	}
	if owed := r.Owes(begun); len(begun) < 2 || owed != nil {
		t.Errorf("%d events of a run that begins owe %+v", len(begun), owed)
	}
	ended := []Event{
		{Seq: 7, Time: epoch, Run: r.ID, Fact: runWaiting{}},
		{Seq: 8, Time: epoch, Run: r.ID, Fact: &RunStarted{}},
		{Seq: 9, Time: epoch, Run: r.ID, Fact: &RunCanceling{Status: StatusFailed}},
		{Seq: 10, Time: epoch, Run: r.ID, Fact: &RunFailed{}},
		{Seq: 11, Time: epoch, Run: r.ID, Fact: &RunCanceled{}},
		{Seq: 12, Time: epoch, Run: r.ID, Fact: &RunSucceeded{}},
	}
	delivery := func(id string, seq int64, typ string, status Status) Delivery {
		return Delivery{ID: id, Tenant: "acme", Run: "run_1f", Seq: seq, Type: typ, Time: epoch, Status: status, URL: spec.Webhook}
	}
	want := []Delivery{
		delivery("msg_1f_7", 7, "run.waiting", StatusWaiting),
		delivery("msg_1f_10", 10, "run.failed", StatusFailed),
		delivery("msg_1f_11", 11, "run.canceled", StatusCanceled),
		delivery("msg_1f_12", 12, "run.succeeded", StatusSucceeded),
	}
	if diff := cmp.Diff(want, r.Owes(ended)); diff != "" {
		t.Error(diff)
	}
	for _, d := range want {
		if run, ok := RunOwing(d.ID); run != r.ID || !ok {
			t.Errorf("%s is of the run %q", d.ID, run)
		}
	}
	r.Spec.Webhook = ""
	if owed := r.Owes(ended); owed != nil {
		t.Errorf("a run without a webhook owes %+v", owed)
	}
}

func TestRunOwing(t *testing.T) {
	for _, id := range []string{"", "msg_", "msg_1f", "run_1f_12", "1f_12"} {
		if run, ok := RunOwing(id); ok {
			t.Errorf("%q is of the run %s", id, run)
		}
	}
}

func TestEveryEndIsOwed(t *testing.T) {
	for name := range facts {
		fact := facts[name]()
		if e := (Event{Fact: fact}); e.Terminal() && !delivered[name].Ended() {
			t.Errorf("%s ends a run, and its webhook is not told", name)
		}
	}
}
