package workflow_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
)

// A template in which everything is wrong costs about what one costs that is right.
func TestManyFaultsCostLittle(t *testing.T) {
	many := func(item string, times int) string { return strings.Repeat(item+",", times-1) + item }
	rules := workflow.Rules{Plan: orchestration.Rules{MaxSubtasks: 1000}}
	rules.Read("", []byte("{}")) // compiles the schema
	for name, tc := range map[string]struct {
		part   string
		faults int
	}{
		"right":     {`"labels":{},"synthesizer":{"json_schema":{"enum":[` + many("0", 49_000) + `]}}`, 0},
		"numbers":   {`"plan":{"subtasks":[` + many("0", 49_000) + `]}`, 100},
		"objects":   {`"policy":[` + many("{}", 49_000) + `]`, 1},
		"long key":  {`"synthesizer":{"json_schema":{"` + strings.Repeat("k", 100_000) + `":[` + many("0", 5_000) + `]}}`, 1},
		"long path": {`"synthesizer":{"json_schema":` + strings.Repeat(`{"`+strings.Repeat("k", 1000)+`":`, 50) + `[` + many("0", 20_000) + `]` + strings.Repeat("}", 50) + `}`, 1},
		"unknown":   {`"plan":{"subtasks":[` + many(`{"id":"a","description":"d","depends_on":[`+many(`"x"`, 40)+`]}`, 1000) + `]}`, 100},
	} {
		text := []byte(`{"name":"a","version":"1","task":"t",` + tc.part + `}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, faults := rules.Read("", text)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; len(faults) != tc.faults || took > 50<<20 {
			t.Errorf("%s: %d faults, and it took %d MB", name, len(faults), took>>20)
		}
	}
}

// counted are expressions that count how much of them is checked, which is what takes
// time.
type counted struct {
	orchestration.Expressions
	bytes int
}

func (c *counted) Check(expression string, _, _ []string) (orchestration.Reads, error) {
	c.bytes += len(expression)
	return orchestration.Reads{}, nil
}

func (c *counted) Reserved(string) bool { return false }

// A plan's expressions have a bound, and no more of them are checked, whatever for.
func TestCheckingExpressionsIsBounded(t *testing.T) {
	count := new(counted)
	rules := workflow.Rules{Plan: orchestration.Rules{MaxSubtasks: 1000, Expressions: count}}
	part, _ := rules.Read("", []byte(`{"name":"part","version":"1","task":"t","parameters":{"p":{"description":"d","required":true}}}`))
	rules.Lookup = func(string) (*workflow.Template, bool) { return part, true }
	list := `"[` + strings.Repeat("1,", 4000) + `1]"`
	subtasks := strings.Repeat(`{"kind":"workflow","workflow":{"name":"part","context":{"p":`+list+`}}},`, 100)
	_, faults := rules.Read("", []byte(`{"name":"a","version":"1","task":"t","plan":{"subtasks":[`+strings.TrimSuffix(subtasks, ",")+`]}}`))
	if len(faults) != 1 || count.bytes > 3*orchestration.MaxExpressions {
		t.Errorf("%d bytes of expressions were checked: %v", count.bytes, faults)
	}
}
