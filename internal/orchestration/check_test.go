package orchestration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		plan Plan
		want []string // pointer code detail's part
	}{
		"sound":        {planOf([]string{"a", "b<a", "c<a+b"}), nil},
		"empty":        {Plan{}, []string{"/subtasks empty_plan no subtasks"}},
		"too many":     {planOf([]string{"a", "b", "c", "d", "e"}), []string{"/subtasks too_many_subtasks has 5 subtasks; at most 4"}},
		"self":         {planOf([]string{"a<a"}), []string{"/subtasks/0/depends_on/0 self_dependency depends on itself"}},
		"unknown":      {planOf([]string{"a", "b<a+z"}), []string{`/subtasks/1/depends_on/1 unknown_dependency depends on "z"`}},
		"doubled":      {planOf([]string{"a", "a"}), []string{"/subtasks/1/id duplicate_id that of subtask 1"}},
		"named twice":  {planOf([]string{"a", "b<a+a"}), []string{"/subtasks/1/depends_on/1 duplicate_id twice"}},
		"bad id":       {planOf([]string{"-a"}), []string{"/subtasks/0/id invalid_id must be 1 to 64"}},
		"cycle":        {planOf([]string{"x", "a<x+c", "b<a", "c<b"}), []string{"/subtasks/2/depends_on/0 cycle a → c → b → a"}},
		"two cycles":   {planOf([]string{"a<b", "b<a", "c<d", "d<c"}), []string{"/subtasks/1/depends_on/0 cycle a → b → a", "/subtasks/3/depends_on/0 cycle c → d → c"}},
		"all at once":  {planOf([]string{"a<a", "a<z"}), []string{"/subtasks/1/id duplicate_id", "/subtasks/0/depends_on/0 self_dependency", "/subtasks/1/depends_on/0 unknown_dependency"}},
		"blank":        {Plan{Subtasks: []Subtask{{ID: "a", Description: " \n"}}}, []string{"/subtasks/0/description blank_description"}},
		"unknown kind": {Plan{Subtasks: []Subtask{{ID: "a", Kind: "magic", Description: "x"}}}, []string{"/subtasks/0/kind unknown_kind"}},
	} {
		t.Run(name, func(t *testing.T) {
			problems := test.plan.Check(Rules{MaxSubtasks: 4})
			if len(problems) != len(test.want) {
				t.Fatalf("got %v, want %q", problems, test.want)
			}
			for i, p := range problems {
				if got := fmt.Sprint(p.Pointer, " ", p.Code, " ", p.Detail); !containsWords(got, test.want[i]) {
					t.Errorf("got %q, want %q", got, test.want[i])
				}
			}
		})
	}
}

// containsWords reports whether got begins with the pointer and code of want
// and holds the rest of it.
func containsWords(got, want string) bool {
	parts := strings.SplitN(want, " ", 3)
	return strings.HasPrefix(got, parts[0]+" "+parts[1]+" ") && (len(parts) < 3 || strings.Contains(got, parts[2]))
}

// TestCheckFindsCycles holds Check against the plainest way to find a cycle:
// take away what depends on nothing until nothing is left.
func TestCheckFindsCycles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "subtasks")
		var p Plan
		for i := range n {
			s := Subtask{ID: fmt.Sprint(i), Description: "x"}
			for j := range n {
				if j != i && rapid.IntRange(0, 4).Draw(t, "dependency") == 0 {
					s.DependsOn = append(s.DependsOn, fmt.Sprint(j))
				}
			}
			p.Subtasks = append(p.Subtasks, s)
		}
		if got, want := len(p.Check(Rules{MaxSubtasks: 100})) > 0, !reducible(p); got != want {
			t.Fatalf("cycle found: %v, there is one: %v, in %+v", got, want, p)
		}
	})
}

func reducible(p Plan) bool {
	gone := map[string]bool{}
	for range p.Subtasks {
		for _, s := range p.Subtasks {
			free := true
			for _, id := range s.DependsOn {
				free = free && gone[id]
			}
			gone[s.ID] = gone[s.ID] || free
		}
	}
	for _, s := range p.Subtasks {
		if !gone[s.ID] {
			return false
		}
	}
	return true
}

// TestCheckIsBounded has Check name some of the cycles of a plan that has very
// many, and walk a plan that is very deep.
func TestCheckIsBounded(t *testing.T) {
	var knot, chain Plan
	for i := range 300 {
		s := Subtask{ID: fmt.Sprint("k", i), Description: "x"}
		for j := range 300 {
			if i != j {
				s.DependsOn = append(s.DependsOn, fmt.Sprint("k", j))
			}
		}
		knot.Subtasks = append(knot.Subtasks, s)
		c := Subtask{ID: fmt.Sprint("c", i), Description: "x"}
		if i < 299 {
			c.DependsOn = []string{fmt.Sprint("c", i+1)}
		}
		chain.Subtasks = append(chain.Subtasks, c)
	}
	if got := len(knot.Check(Rules{MaxSubtasks: 1000})); got != maxCycles {
		t.Errorf("%d cycles are named, want %d", got, maxCycles)
	}
	if diff := cmp.Diff([]Problem(nil), chain.Check(Rules{MaxSubtasks: 1000})); diff != "" {
		t.Error(diff)
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "a": true, "9": true, "Z_-9": true, "-a": false, "_a": false, "a b": false, "a.b": false, "ä": false, "aä": false,
		strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
	} {
		if isID(text) != want {
			t.Errorf("isID(%q) is %v", text, !want)
		}
	}
}
