package expr

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
)

var ids = []string{"T1", "T2", "step-1", "item", "list"}

func TestCheck(t *testing.T) {
	type reads = orchestration.Reads
	compared := func(pairs ...string) (all []orchestration.Comparison) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, orchestration.Comparison{Subtask: pairs[i], Text: pairs[i+1]})
		}
		return all
	}
	constant := func(s string) json.RawMessage { return json.RawMessage(s) }
	for expression, want := range map[string]reads{
		`T1.output`:                       {Subtasks: []string{"T1"}, Bare: "T1"},
		` ( T1.output ) `:                 {Subtasks: []string{"T1"}, Bare: "T1"},
		`subtasks["T1"].output`:           {Subtasks: []string{"T1"}, Bare: "T1"},
		`subtasks["step-1"].output`:       {Subtasks: []string{"step-1"}, Bare: "step-1"},
		`subtasks.list.output`:            {Subtasks: []string{"list"}, Bare: "list"},
		`T1.output.rows[0].ci_id`:         {Subtasks: []string{"T1"}},
		`T1.status`:                       {Subtasks: []string{"T1"}, Kind: "string"},
		`has(T1.output)`:                  {Subtasks: []string{"T1"}, Kind: "bool"},
		`[T2.output, T1.output]`:          {Subtasks: []string{"T1", "T2"}, Kind: "list"},
		`{"a": T2.output}`:                {Subtasks: []string{"T2"}, Kind: "object"},
		`T1`:                              {Subtasks: []string{"T1"}, Kind: "object"},
		`T1.?output.?x.orValue(1)`:        {Subtasks: []string{"T1"}},
		`subtasks[?"T1"].?output`:         {Subtasks: []string{"T1"}},
		`T1.output.map(T2, T2 + 1)`:       {Subtasks: []string{"T1"}, Kind: "list"},
		`T1.output.map(T1, T1 + 1)`:       {Subtasks: []string{"T1"}, Kind: "list"},
		`cel.bind(x, T1, x.output.a)`:     {Subtasks: []string{"T1"}},
		`cel.bind(subtasks, 1, subtasks)`: {Kind: "number", Constant: constant(`1`)},
		`T1.output == "ship" || "drop" == subtasks["T2"].output || T1.output in ["a", task]`: {
			Subtasks: []string{"T1", "T2"}, Kind: "bool", Compared: compared("T1", "ship", "T2", "drop", "T1", "a"),
		},
		`"x" in [T1.output] && T1.output != "x"`: {Subtasks: []string{"T1"}, Kind: "bool", Compared: compared("T1", "x")},
		`["x"].exists(T1, T1 == "x")`:            {Kind: "bool", Constant: constant(`true`)},
		`T1.output.kind == "x"`:                  {Subtasks: []string{"T1"}, Kind: "bool"},
		`1 + 2`:                                  {Kind: "number", Constant: constant(`3`)},
		`null`:                                   {Kind: "null", Constant: constant(`null`)},
		`"yes"`:                                  {Kind: "string", Constant: constant(`"yes"`)},
		`{"b": 1, "a": [1.5]}`:                   {Kind: "object", Constant: constant(`{"a":[1.5],"b":1}`)},
		`lists.range(100000).size()`:             {Kind: "number"}, // too dear to be known
		`task`:                                   {Kind: "string"},
		`context`:                                {Kind: "object"},
		`run.id`:                                 {Run: true, Kind: "string"},
		`previous`:                               {},
		`type(1) == int`:                         {Kind: "bool", Constant: constant(`true`)},
		`timestamp("2026-01-02T03:04:05Z")`:      {Kind: "string", Constant: constant(`"2026-01-02T03:04:05Z"`)},
	} {
		got, err := New().Check(expression, ids, []string{"previous"})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", expression, diff)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for expression, says := range map[string]string{
		``:                                     `it is empty`,
		`T1.output ==`:                         `at 1:13: `,
		`T9.output + T8.output`:                `T9 is not known; T8 is not known; there are task, context, run, previous, T1, T2, subtasks["step-1"], subtasks["item"], subtasks["list"]`,
		`step.output`:                          `step is not known: write subtasks["step-1"]`,
		`item.output`:                          `item is not known: write subtasks["item"]`,
		`index`:                                `index is not known`,
		`subtasks["T9"].output`:                `there is no subtask "T9"`,
		`subtasks.T9.output`:                   `there is no subtask "T9"`,
		`subtasks[?"T9"]`:                      `there is no subtask "T9"`,
		`subtasks[task].output`:                `with the id written out`,
		`subtasks["T" + "1"].output`:           `with the id written out`,
		`subtasks.map(s, s)`:                   `with the id written out`,
		`"T1" in subtasks`:                     `with the id written out`,
		`T1.outptu`:                            `at 1:3: undefined field 'outptu'`,
		`subtasks["T1"].outptu`:                `undefined field 'outptu'`,
		`run.name`:                             `undefined field 'name'`,
		`T1.status + 1`:                        `no matching overload`,
		`now()`:                                `undeclared reference to 'now'`,
		`timestamp(task).getHours("CET")`:      `no matching overload`,
		`1/0`:                                  `at 1:2: division by zero`,
		`.T1.output`:                           `dot`,
		`google.protobuf.Struct{}`:             `messages cannot be made`,
		`tutti.Subtask{output: 1}`:             `messages cannot be made`,
		`T1.output && list`:                    `expected type 'bool'`,
		`import`:                               `reserved identifier`,
		`"` + strings.Repeat("x", 9_999) + `"`: `longer than 10000 bytes`,
		strings.Repeat("(", 2_000) + `1`:       `recursion`,
		strings.Repeat("[", 2_000):             `recursion`,
		`1` + strings.Repeat("+1", 200):        `max recursion depth exceeded`,
		strings.Repeat(`T9.output+x`, 800):     ``,
		`math.nothing(1)`:                      `undeclared reference`,
		`"%d".format(["a", "b"])`:              ``,
	} {
		reads, err := New().Check(expression, ids, []string{"previous"})
		if err == nil {
			t.Errorf("%.60s: reads %+v", expression, reads)
		} else if got := err.Error(); !strings.Contains(got, says) || len(got) > 1_100 {
			t.Errorf("%.60s: %s", expression, got)
		}
	}
}

func text(s string) *string { return &s }

func vars() *orchestration.Variables {
	return &orchestration.Variables{
		Task:    "Sell it",
		Context: json.RawMessage(`{"b":{"z":1,"a":2,"m":3},"a":[3,1,2,1],"f":1.5,"n":null,"t":true,"words":["x","y","x"],"big":9007199254740993,"key-feature":"dry"}`),
		Run:     "run_1",
		Subtasks: []orchestration.Variable{
			{ID: "T1", Status: "succeeded", Output: text(`{"rows":[{"ci_id":"c1","n":1},{"ci_id":"c2","n":2}],"kind":"x"}`)},
			{ID: "T2", Status: "failed"},
			{ID: "T3", Status: "succeeded", Output: text(`plain text`)},
			{ID: "step-1", Status: "succeeded", Output: text(" 42\n")},
			{ID: "decided", Status: "succeeded", Output: text(`true`), Plain: true},
		},
		Locals: []orchestration.Variable{{ID: "item", Output: text(`{"id":7}`)}, {ID: "index", Output: text(`0`)}, {ID: "previous"}},
	}
}

func TestEval(t *testing.T) {
	for _, c := range [][2]string{
		{`T1.output.rows[0].ci_id`, `"c1"`},
		{`T1.output.rows.map(r, r.n)`, `[1,2]`},
		{`T1.output.rows.filter(r, r.n > 1).size()`, `1`},
		{`T1.output.rows.filter(r, r.n == 2)[0]`, `{"ci_id":"c2","n":2}`},
		{`T1.output`, `{"kind":"x","rows":[{"ci_id":"c1","n":1},{"ci_id":"c2","n":2}]}`},
		{`T1`, `{"output":{"kind":"x","rows":[{"ci_id":"c1","n":1},{"ci_id":"c2","n":2}]},"status":"succeeded"}`},
		{`T2.output`, `null`},
		{`T2.status == "failed" && T2.output == null`, `true`},
		{`T3.output + "!"`, `"plain text!"`},
		{`subtasks["step-1"].output + 1`, `43`},
		{`decided.output == "true"`, `true`},
		{`decided.output == true`, `false`},
		{`context`, `{"a":[3,1,2,1],"b":{"a":2,"m":3,"z":1},"big":9007199254740993,"f":1.5,"key-feature":"dry","n":null,"t":true,"words":["x","y","x"]}`},
		{`context["key-feature"]`, `"dry"`},
		{`context.b.map(k, k)`, `["a","m","z"]`},
		{`{"z":1,"a":2,"m":3}.map(k, k)`, `["a","m","z"]`},
		{`context.b.transformMap(k, v, v * 2).map(k, k)`, `["a","m","z"]`},
		{`context.b.transformList(k, v, k + string(v))`, `["a2","m3","z1"]`},
		{`context.b.transformMapEntry(k, v, {string(v): k})`, `{"1":"z","2":"a","3":"m"}`},
		{`context.a.sort()`, `[1,1,2,3]`},
		{`context.a.distinct()`, `[3,1,2]`},
		{`context.?nothing.orValue("none")`, `"none"`},
		{`context.?nothing`, `null`},
		{`task + " to " + context.words.join(", ")`, `"Sell it to x, y, x"`},
		{`run.id`, `"run_1"`},
		{`run`, `{"id":"run_1"}`},
		{`item.id + index`, `7`},
		{`previous == null`, `true`},
		{`1 < 1.5 && context.f == 1.5 && T1.output.rows[0].n == 1.0 && context.f * 2.0 == 3.0 && context.f > 1`, `true`},
		{`context.f * 2.0`, `3`},
		{`context.big + 1`, `9007199254740994`},
		{`b"ab"`, `"YWI="`},
		{`duration("90s")`, `"90s"`},
		{`timestamp("2026-01-02T03:04:05.5Z") + duration("1s")`, `"2026-01-02T03:04:06.5Z"`},
		{`timestamp("2026-01-02T03:04:05+02:00").getHours()`, `1`},
		{`{2: "b", 1: "a"}`, `{"1":"a","2":"b"}`},
		{`7u`, `7`},
		{`1e300`, `1e+300`},
		{`"a\n<"`, `"a\n<"`},
		{`"%s and %d".format(["x", 3])`, `"x and 3"`},
		{`math.greatest([1, 2, 3])`, `3`},
		{`sets.contains(context.words, ["y"])`, `true`},
		{`context.words.exists(w, w.matches("^[xy]$"))`, `true`},
		{`cel.bind(r, T1.output.rows, r[1].ci_id)`, `"c2"`},
		{`T1.output.rows.sortBy(r, -r.n).map(r, r.ci_id)`, `["c2","c1"]`},
		{`[[1], [2, 3]].flatten()`, `[1,2,3]`},
		{`"a,b".split(",")`, `["a","b"]`},
		{`context.words + ["z"]`, `["x","y","x","z"]`},
		{`size("é") == 1 && size(context.words) == 3`, `true`},
		{`T2.output.x == 1 || true`, `true`},
		{`context.words[0] in {"x": 1} && "y" in context.words`, `true`},
		{`[1, 2].all(i, v, v > i) && dyn([{"a": 1}]) == [{"a": 1.0}]`, `true`},
		{`context.t ? "yes" : "no"`, `"yes"`},
		{`string(context.a[0]) + string(1.5) + string(true)`, `"31.5true"`},
		{`int("12") + int(1.9) + int(timestamp("1970-01-01T00:00:01Z"))`, `14`},
		{`optional.of(1).value() + [1, 2].last().value()`, `3`},
		{`!(task.startsWith("S") && task.endsWith("it") && task.contains("ll"))`, `false`},
		{`"abc".charAt(1) + "abc".substring(1) + "a".upperAscii() + strings.quote("q")`, `"bbcA\"q\""`},
		{`math.abs(-2) + math.bitAnd(3, 2)`, `4`},
	} {
		expression, want := c[0], c[1]
		e := New()
		for range 2 { // compiled and again
			got, err := e.Eval(expression, vars())
			if err != nil {
				t.Errorf("%s: %v", expression, err)
			} else if got != want {
				t.Errorf("%s\n got %s\nwant %s", expression, got, want)
			}
		}
	}
}

func TestEvalFails(t *testing.T) {
	const secret = "plain text" // what T3 says
	for expression, want := range map[string]string{
		`T1.output.nothing`:               `at 1:10: there is no key "nothing"`,
		`context["nothing"]`:              `at 1:8: there is no key "nothing"`,
		`context[T3.output]`:              `at 1:8: there is no such key`,
		`T3.output.x`:                     `at 1:10: there is no key "x"`,
		`T3.output > 3`:                   `at 1:11: a value is of a type that this cannot be done with`,
		`int(T3.output)`:                  `at 1:4: a value cannot be converted`,
		`timestamp(T3.output)`:            `at 1:10: a text is no timestamp`,
		`"a".matches("(" + T3.output)`:    `at 1:12: a pattern is no regular expression`,
		`context.a[9]`:                    `at 1:10: an index is out of range`,
		`[1].map(x, T3.output.x)`:         `at 1:21: there is no key "x"`,
		`index / 0`:                       `at 1:7: division by zero`,
		`9223372036854775807 + index + 1`: `at 1:29: a number is too large`,
		`double(index) / 0.0`:             `a number in its value is infinite or undefined`,
		`type(index)`:                     `its value is nothing that JSON has`,
		`{1: index, "1": index}`:          `an object of its value has two keys that are the same in JSON`,
		`[index].transformMapEntry(i, v, {T3.output: 1}).x`: `at 1:48: there is no key "x"`,
		`[1, 2].transformMapEntry(i, v, {T3.output: v})`:    `a key is there twice`,
		`nobody`:          `nobody is not known; there are task, context, run, index, item, previous, T1, T2, T3, subtasks["step-1"], decided`,
		`index.map(i, i)`: `a value is nothing that can be walked`,
		`{T1.output: 1}`:  `a key must be a text, an integer or a bool`,
	} {
		got, err := New().Eval(expression, vars())
		if err == nil {
			t.Errorf("%s gave %s", expression, got)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s\n got %s\nwant %s", expression, err, want)
		}
	}
}

// What is not read is neither parsed nor counted.
func TestOnlyWhatIsRead(t *testing.T) {
	large := strings.Repeat("x", maxInput+1)
	v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "T1", Status: "succeeded", Output: &large}, {ID: "T2", Output: text("1")}}}
	if got, err := New().Eval(`T1.status + string(T2.output)`, v); err != nil || got != `"succeeded1"` {
		t.Error(got, err)
	}
	if _, err := New().Eval(`T1.output == ""`, v); err == nil || err.Error() != "what it reads is larger than 16 MB" {
		t.Error(err)
	}
	many := "[" + strings.Repeat("1,", maxValues) + "1]"
	v.Subtasks[0].Output, v.Read = &many, nil
	if _, err := New().Eval(`T1.output == ""`, v); err == nil || err.Error() != "what it reads has more than 1000000 values" {
		t.Error(err)
	}
}

// The meaning of a name is that of each call.
func TestNamesChange(t *testing.T) {
	e := New()
	local := &orchestration.Variables{Locals: []orchestration.Variable{{ID: "output", Output: text(`{"status":1}`)}}}
	if got, err := e.Eval(`output.status`, local); err != nil || got != "1" {
		t.Error(got, err)
	}
	if _, err := e.Eval(`output.status`, &orchestration.Variables{}); err == nil {
		t.Error("a name that is gone is still known")
	}
	one := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "A", Output: text("1")}}}
	for range 20 {
		if got, err := e.Eval(`A.output`, one); err != nil || got != "1" {
			t.Error(got, err)
		}
		if _, err := e.Eval(`A.output`, &orchestration.Variables{}); err == nil {
			t.Error("a subtask that is gone is still known")
		}
	}
}

// What was read for one expression serves those after it, and they see no more of it
// than they ask for.
func TestReadOnce(t *testing.T) {
	e, v := New(), vars()
	v.Subtasks = append(v.Subtasks, orchestration.Variable{ID: "item", Status: "failed"},
		orchestration.Variable{ID: "odd", Output: text("{\"k\xff\":1, \"a\\\"b\":2}")})
	for _, c := range [][2]string{
		{`T1.status`, `"succeeded"`},
		{`T1.output.rows[1].n`, `2`},
		{`subtasks["T1"].status + subtasks["item"].status`, `"succeededfailed"`},
		{`subtasks["T1"].output.kind + string(item.id)`, `"x7"`},
		{`item.id + index`, `7`},
		{`subtasks["item"].output == null && item.id == 7 && T1.output.kind == "x"`, `true`},
		{`subtasks["step-1"].output + context.b.z`, `43`},
		{`odd.output`, "{\"a\\\"b\":2,\"k\uFFFD\":1}"},
	} {
		for range 2 {
			if got, err := e.Eval(c[0], v); err != nil || got != c[1] {
				t.Errorf("%s: %s %v, want %s", c[0], got, err, c[1])
			}
		}
	}
	read := v.Read
	if _, err := e.Eval(`item.id`, v); err != nil || v.Read != read || read == nil {
		t.Error("it was read anew")
	}
}

func TestConcurrently(t *testing.T) {
	e := New()
	e.sources = newCache[*source](3, 1_000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				for _, expression := range []string{`T1.output.rows.map(r, r.n)`, `context.a`, `{"a": task}`, `T3.output`, `1 + index`} {
					if _, err := e.Eval(expression, vars()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if n := len(e.sources.young) + len(e.sources.old); n > 6 {
		t.Errorf("%d sources are kept", n)
	}
}

func TestReserved(t *testing.T) {
	for _, id := range []string{"task", "context", "run", "subtasks", "item", "output", "import", "list", "math", "cel", "true"} {
		if !Reserved(id) {
			t.Errorf("%s is not reserved", id)
		}
	}
	for _, id := range []string{"T1", "research", "map2", "filter", "size", "all"} {
		if Reserved(id) {
			t.Errorf("%s is reserved", id)
		}
	}
}
