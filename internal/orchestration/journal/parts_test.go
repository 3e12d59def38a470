package journal

import (
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A page of a very long commit must not cost a look at all of it.
func TestALongCommitIsStoredInParts(t *testing.T) {
	c := orchestration.Commit{Row: orchestration.Row{ID: "run_1", Tenant: "acme", Status: orchestration.StatusRunning, Seq: 2*partSize + 1}}
	for seq := range c.Row.Seq {
		c.Events = append(c.Events, orchestration.Event{Seq: seq + 1, Run: "run_1", Fact: &orchestration.RunResumed{}})
	}
	e, err := encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.parts) != 3 || e.parts[1].first != partSize+1 || e.parts[1].seq != 2*partSize || e.parts[2].seq != c.Row.Seq {
		t.Errorf("it is stored in %d parts", len(e.parts))
	}
}
