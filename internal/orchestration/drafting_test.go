package orchestration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is kept of a plan is the whole of it, or nothing: the rest of one that broke
// off is not.
func TestAPlanIsCachedWholeOrNotAtAll(t *testing.T) {
	drafted := func(attempt int, words string) Drafted {
		return Drafted{Attempt: attempt, Subtasks: planOf(strings.Fields(words)).Subtasks}
	}
	planned := func(attempt int, words string) Planned {
		return Planned{Attempt: attempt, Plan: planOf(strings.Fields(words))}
	}
	brokenOff := Planned{Attempt: 1, Failure: &Failure{Code: CodeUpstreamError, Retryable: true}}
	for name, test := range map[string]struct {
		said []Said
		want []string // ids of the plan that is kept, if one is
	}{
		"drafted":                    {[]Said{drafted(1, "a b<a"), planned(1, "a b<a c")}, []string{"a", "b", "c"}},
		"repaired":                   {[]Said{drafted(1, "a b"), planned(1, "a b<d"), drafted(2, "a b'"), planned(2, "b' a")}, []string{"b-2", "a"}},
		"broken off":                 {[]Said{drafted(1, "a b"), brokenOff, Due{Timer: "plan/2"}, planned(2, "c<a")}, nil},
		"broken off with no draft":   {[]Said{brokenOff, Due{Timer: "plan/2"}, planned(2, "a b")}, []string{"a", "b"}},
		"broken off and then mended": {[]Said{drafted(1, "a"), brokenOff, Due{Timer: "plan/2"}, planned(2, "b<d"), planned(3, "b")}, nil},
		"lost":                       {[]Said{drafted(1, "a"), Resume{}, planned(2, "b")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run, now := New(storyFuncs()), epoch
			var kept []string
			for _, said := range append([]Said{Start{ID: "run_1", Spec: specOf(t, []string{"cache=1h"})}}, test.said...) {
				now = now.Add(time.Minute)
				events, _, err := run.Step(Input{Time: now, Said: said})
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range run.Caches(events) {
					var p Plan
					if err := json.Unmarshal([]byte(c.Output), &p); err != nil {
						t.Fatal(err)
					}
					for _, s := range p.Subtasks {
						kept = append(kept, s.ID)
					}
				}
			}
			if run.Planning.Version != 1 {
				t.Error("there is no plan")
			}
			if diff := cmp.Diff(test.want, kept); diff != "" {
				t.Errorf("kept is (-want +got):\n%s", diff)
			}
		})
	}
}
