package templates

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/test/service"
)

// TestShipped has each template of workflows/ carried out, down each of its
// branches. Directives in what the caller gives steer the simulator.
func TestShipped(t *testing.T) {
	s := shipped(t)
	for name, c := range map[string]struct {
		request string
		want    fate
	}{
		"marketing: the planner decides": {
			`{"workflow": "marketing-variations", "context": {"product": "A steel bottle"}}`,
			fate{"succeeded", 5, "T1 T2 T3", "", "synthesizer"},
		},
		"marketing: two approaches": {
			`{"workflow": "marketing-variations", "context": {"product": "A steel bottle [[sim subtasks=2]]"}}`,
			fate{"succeeded", 4, "T1 T2", "", "synthesizer"},
		},
		"report": {
			`{"workflow": "research-report", "context": {"topic": "SQLite"}}`,
			fate{"succeeded", 7, "facts views sources figures weighing report review final", "skipped:example", "final"},
		},
		"report: with code": {
			`{"workflow": "research-report", "context": {"topic": "SQLite", "code": true}}`,
			fate{"succeeded", 8, "facts views sources figures weighing example report review final", "", "final"},
		},
		"system: healthy": {
			`{"workflow": "system-analysis", "context": {"cpu": {"load": 0.4}, "memory": "2 of 8 GB", "network": [1, 2, 3]}}`,
			fate{"succeeded", 4, "cpu memory network findings state diagnosis", "", "diagnosis"},
		},
		"product: known category": {
			`{"workflow": "product-director", "context": {"product": "A boot", "category": "footwear"}}`,
			fate{"succeeded", 2, "category footwear notes description", "skipped:guess skipped:apparel skipped:accessory skipped:generic", "description"},
		},
		"product: a model decides": {
			`{"workflow": "product-director", "context": {"product": "A scarf [[sim option=accessory]]"}}`,
			fate{"succeeded", 3, "guess category accessory notes description", "skipped:apparel skipped:footwear skipped:generic", "description"},
		},
		"product: a planner decides": {
			`{"workflow": "product-director", "context": {"product": "A lamp [[sim option=generic latency=0s]]"}}`,
			fate{
				"succeeded", 6, "guess category generic notes description generic.1.T1 generic.1.T2 generic.1.T3",
				"skipped:apparel skipped:accessory skipped:footwear", "description",
			},
		},
		"deepening: until the rounds are over": {
			`{"workflow": "iterative-deepening", "context": {"question": "Why are there tides?", "rounds": 3}}`,
			fate{
				"succeeded", 6, "deepen answer deepen.1.notes deepen.2.gap deepen.2.notes deepen.3.gap deepen.3.notes",
				"skipped:deepen.1.gap", "answer",
			},
		},
		"deepening: until nothing changes": { // texts so short that they are the same
			`{"workflow": "iterative-deepening", "context": {"question": "Why are there tides? [[sim out=25]]", "rounds": 8}}`,
			fate{"succeeded", 4, "deepen answer deepen.1.notes deepen.2.gap deepen.2.notes", "skipped:deepen.1.gap", "answer"},
		},
		"optimizer: satisfied at once": {
			`{"workflow": "evaluator-optimizer", "context": {"brief": "A notice"}}`,
			fate{"succeeded", 2, "text", "", "text"},
		},
		"optimizer: revised twice": {
			`{"workflow": "evaluator-optimizer", "context": {"brief": "A notice [[sim unsatisfied=2]]"}}`,
			fate{"succeeded", 6, "text", "", "text"},
		},
		"optimizer: never satisfied": {
			`{"workflow": "evaluator-optimizer", "context": {"brief": "A notice [[sim unsatisfied=9]]"}}`,
			fate{"failed", 8, "", "failed:text", ""},
		},
		"chain": {
			`{"workflow": "prompt-chain", "context": {"topic": "Tides"}}`,
			fate{"succeeded", 3, "outline gate draft polish", "", "polish"},
		},
		"chain: stopped at the gate": {
			`{"workflow": "prompt-chain", "context": {"topic": "Tides [[sim out=30]]"}}`,
			fate{"succeeded", 1, "outline gate", "skipped:draft skipped:polish", "outline"},
		},
		"router": {
			`{"workflow": "router", "context": {"message": "It does not start [[sim option=technical]]"}}`,
			fate{"succeeded", 2, "route technical answer", "skipped:billing skipped:general", "answer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, s, c.request)
			want(t, r, c.want)
			// A rerun out of the cache asks no model. What failed is not kept.
			cached := strings.TrimSuffix(c.request, "}") + `, "cache": "1h"}`
			if c.want.status != "succeeded" {
				return
			}
			ask(t, s, cached)
			c.want.calls = 0
			want(t, ask(t, s, cached), c.want)
		})
	}
}

// What one part is to another is told apart by what the workers found.
func TestSystemAnalysisTellsStates(t *testing.T) {
	s := shipped(t)
	for finding, state := range map[string]string{"normal": "healthy", "strained": "degraded", "exhausted": "critical"} {
		// A prompt without a <subtask> of its own lets directives in the context count.
		r := ask(t, s, `{"workflow": "system-analysis", "context": {"cpu": "[[sim json={\"cpu\":{\"status\":\"`+finding+`\",\"finding\":\"x\"}}]]", "memory": "?", "network": "?"},
			"worker": {"prompt": "Task: {original_task}\n{task_description}\n{cpu}"}, "limits": {"max_attempts": 1}}`)
		// All three answer with this, in which the other two miss what is theirs: they ask twice
		// more, for another form and by revision, and are left out.
		want(t, r, fate{"succeeded, partial", 1 + 3 + 3 + 1, "cpu findings state diagnosis", "skipped:memory skipped:network", "diagnosis"})
		if got := output(t, r, "state"); got != state {
			t.Errorf("%s makes the state %s, want %s", finding, got, state)
		}
	}
}

// A person chooses where the router does not.
func TestRouterEscalates(t *testing.T) {
	s := shipped(t)
	r := ask(t, s, `{"workflow": "router", "context": {"message": "See you in court [[sim option=escalate]]"}}`)
	want(t, r, fate{"waiting", 1, "", "waiting:route pending:billing pending:technical pending:general pending:answer", ""})
	if a := s.Post(t, "/v1/runs/"+r.ID+"/subtasks/route/decision", `{"action": "edit", "output": "none of them"}`); a.Status != 422 {
		t.Errorf("an option that there is not: status %d\n%s", a.Status, a.Body)
	}
	r = decide(t, s, r.ID, "route", `{"action": "edit", "output": "billing"}`)
	want(t, r, fate{"succeeded", 2, "route billing answer", "skipped:technical skipped:general", "answer"})
}

func TestContentApproval(t *testing.T) {
	s := shipped(t)
	begin := func(t *testing.T, more string) service.Run {
		t.Helper()
		r := ask(t, s, `{"workflow": "content-approval", "context": {"brief": "Say that we are open on Sundays `+more+`"}}`)
		want(t, r, fate{"waiting", 1, "draft", "waiting:approval pending:answer pending:publish", ""})
		return r
	}
	published := fate{"succeeded", 4, "draft approval answer publish", "", "synthesizer"}
	t.Run("approve", func(t *testing.T) {
		r := decide(t, s, begin(t, "").ID, "approval", `{"action": "approve"}`)
		want(t, r, published)
		if output(t, r, "approval") != output(t, r, "draft") {
			t.Error("what was approved is not the draft")
		}
		if a := s.Post(t, "/v1/runs/"+r.ID+"/subtasks/approval/decision", `{"action": "reject"}`); a.Status != 409 {
			t.Errorf("a second decision: status %d", a.Status)
		}
	})
	t.Run("edit", func(t *testing.T) {
		r := decide(t, s, begin(t, "").ID, "approval", `{"action": "edit", "output": "Open on Sundays!"}`)
		want(t, r, published)
		if got := output(t, r, "approval"); got != "Open on Sundays!" {
			t.Errorf("what was approved is %q", got)
		}
	})
	t.Run("reject", func(t *testing.T) {
		r := decide(t, s, begin(t, "").ID, "approval", `{"action": "reject", "comment": "Too dull"}`)
		want(t, r, fate{"succeeded", 6, "draft T1 T2 T3", "failed:approval", "synthesizer"})
	})
	t.Run("contradict the plan", func(t *testing.T) {
		r := decide(t, s, begin(t, "[[sim option=replan]]").ID, "approval", `{"action": "edit", "output": "Make it a poster instead"}`)
		want(t, r, fate{"succeeded", 7, "draft approval answer T1 T2 T3", "", "synthesizer"})
	})
}

// A person is waited for across restarts.
func TestContentApprovalAcrossRestarts(t *testing.T) {
	env := []string{"TUTTI_WORKFLOWS=" + absolute(t, "workflows"), "TUTTI_JOURNAL=sqlite:" + filepath.Join(t.TempDir(), "tutti.db")}
	s := service.Start(t, env...)
	r := ask(t, s, `{"workflow": "content-approval", "context": {"brief": "Say that we are open on Sundays"}}`)
	if r.Status != "waiting" {
		t.Fatalf("the run is %s", r.Status)
	}
	s.Kill()
	s = service.Start(t, env...)
	r = decide(t, s, r.ID, "approval", `{"action": "approve"}`)
	want(t, r, fate{"succeeded", 4, "draft approval answer publish", "", "synthesizer"})
}
