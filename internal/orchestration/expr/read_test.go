package expr

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// What is made of a text is shared by all that read it at a time, and none of them
// changes it.
func TestReadTogether(t *testing.T) {
	members := make([]string, 50)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":{"n":[%d,%d],"s":"text"}`, i, i, -i)
	}
	listed := text(`{"all":{` + strings.Join(members, ",") + `}}`)
	v := &orchestration.Variables{
		Context:  json.RawMessage(`{"m":{"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k7":7}}`),
		Subtasks: []orchestration.Variable{{ID: "T1", Status: "succeeded", Output: listed}},
	}
	expressions := []string{
		`T1.output`, `T1.output.all.map(k, T1.output.all[k].n[0])`, `T1.output.all.transformMap(k, x, x.n + [1])`,
		`T1.output.all.filter(k, T1.output.all[k].n.sort()[0] < 0).size()`, `[T1.output.all, T1.output].map(x, x)`,
		`T1.output.all.k7.n + T1.output.all.k8.n`, `T1.output == T1.output`,
	}
	for _, short := range everything {
		expressions = append(expressions, `cel.bind(m, context.m, `+strings.ReplaceAll(short, "v(k)", "m[k]")+`)`)
	}
	want := make([]string, len(expressions))
	for i, expression := range expressions {
		value, err := New().Eval(expression, v)
		want[i] = fmt.Sprint(value, err)
	}
	e := New()
	var all sync.WaitGroup
	for first := range 8 {
		all.Go(func() {
			v := *v
			for i := range 3 * len(expressions) {
				at := (first*len(expressions)/8 + i) % len(expressions)
				v.Read = nil
				value, err := e.Eval(expressions[at], &v)
				if got := fmt.Sprint(value, err); got != want[at] {
					t.Errorf("%s: %s, and alone %s", expressions[at], got, want[at])
				}
			}
		})
	}
	all.Wait()
}

// Expressions that name no subtask can be checked at a time, though what they are
// checked against is one for all: cel-go adds to it once, when it first meets a
// function that is not there, and copies it for each macro.
func TestCheckTogether(t *testing.T) {
	for range 20 {
		e := New()
		var all sync.WaitGroup
		for first := range 4 {
			all.Go(func() {
				if _, err := e.Check(fmt.Sprintf("nowhere%d(task)", first), nil, nil); err == nil {
					t.Error("a function that is not there is taken")
				}
			})
			all.Go(func() {
				for i := range 5 {
					if _, err := e.Check(fmt.Sprintf("[%d].all(x, [x].exists(y, y > %d))", first, i), nil, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	}
}

// What is kept is bounded by what it takes, and a text that would take a larger part
// of that than half is read anew.
func TestKeptIsBounded(t *testing.T) {
	e := New()
	for i := range 2_000 {
		row := fmt.Sprintf(`{"i":%d,"of":[%s1]}`, i, strings.Repeat("{},", i))
		v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "T1", Output: &row}}}
		if got, err := e.Eval(`T1.output.i`, v); err != nil || got != fmt.Sprint(i) {
			t.Fatal(got, err)
		}
		if e.lately.size > maxKept {
			t.Fatalf("%d bytes are kept", e.lately.size)
		}
	}
	huge := "[" + strings.Repeat("{},", maxKept/2/valueBytes) + "1]"
	v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "T1", Output: &huge}}}
	if _, err := e.Eval(`T1.output.size()`, v); err != nil {
		t.Fatal(err)
	}
	if _, kept := e.lately.get(huge); kept {
		t.Error("it is kept whatever it takes")
	}
}

// A decoder that waits to be used again holds nothing of what it has read.
func TestTakenIsLetGo(t *testing.T) {
	stack := []ref.Val{types.Int(1), types.Int(2), types.Int(3)}
	top := taken(&stack, 1)
	if len(stack) != 1 || len(top) != 2 || top[1] != types.Int(3) {
		t.Errorf("taken %v of %v", top, stack)
	}
	if left := stack[:3]; left[1] != nil || left[2] != nil {
		t.Errorf("it holds %v", left)
	}
}
