package expr

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// everything has every macro, and every function that sees lists or maps.
var everything = []string{
	`m.map(k, k)`, `m.map(k, v(k) > 3, k)`, `m.filter(k, m[k] % 2 == 0)`, `m.all(k, m[k] > 0)`, `m.exists(k, m[k] == 7)`,
	`m.exists_one(k, m[k] == 7)`, `has(m.k3) && !has(m.nothing)`,
	`m.all(k, x, x > 0)`, `m.exists(k, x, x == 7)`, `m.exists_one(k, x, x == 7)`, `m.existsOne(k, x, x == 7)`,
	`m.transformList(k, x, k)`, `m.transformList(k, x, x > 3, k)`, `m.transformMap(k, x, x * 2)`, `m.transformMap(k, x, x > 3, x)`,
	`m.transformMapEntry(k, x, {x: k}).map(k, k)`, `m.transformMapEntry(k, x, x > 3, {string(x): k}).transformList(k, x, k)`,
	`m.transformMap(k, x, x).map(k, k)`, `m.transformMap(k, x, x).transformMap(k, x, k).transformList(k, x, x)`,
	`cel.bind(x, m, x.map(k, k))`, `cel.bind(x, m.transformMap(k, x, x), x.map(k, k))`,
	`{"z": 1, "y": 2, "x": 3, "w": 4, 5: 1, true: 2, 7u: 1}.map(k, string(k))`,
	`[m, m].map(x, x.map(k, x[k]))`, `optional.of(m).optMap(x, x.map(k, k)).value()`, `optional.of(m).optFlatMap(x, optional.of(x.map(k, k)))`,
	`m.map(k, k).sort()`, `m.map(k, k).sortBy(k, m[k])`, `m.map(k, k).reverse()`, `m.map(k, k).slice(1, 3)`, `m.map(k, m[k] % 3).distinct()`,
	`[m.map(k, k)].flatten()`, `[[m.map(k, k)]].flatten(2)`, `lists.range(4)`, `m.map(k, k).join(",")`, `"%s".format([m])`, `"%s %s".format([m.map(k, k), m.transformMap(k, x, k)])`,
	`sets.contains(m.map(k, k), ["k1"])`, `sets.equivalent(m.map(k, k), ["k1"])`, `sets.intersects(m.map(k, k), ["k1"])`,
	`m.map(k, k).hasAll(["k1"])`, `m.map(k, k).hasAny(["k1"])`, `m.map(k, k).hasOnly(["k1"])`, `m.map(k, k).hasExactly(["k1"])`,
	`math.greatest(m.map(k, m[k]))`, `math.least(m.map(k, m[k]))`, `optional.unwrap([m.?k1, m.?k99])`, `[m.?k1].unwrapOpt()`,
	`m.map(k, k).first().value() + m.map(k, k).last().value()`, `m == m.transformMap(k, x, x)`, `"k1" in m`, `size(m)`, `m`, `context`,
	`m.map(k, 1 / (m[k] - 7))`, `m.map(k, nothing(k))`, `m.map(k, m[k].x)`, `m.transformMapEntry(k, x, {x % 3: k})`,
}

// The same variables give the same value or the same error, and cost the same, each
// time: otherwise a replayed run would decide anew.
func TestDeterministic(t *testing.T) {
	members := make([]string, 12)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d":%d`, (i*5)%12, i+1)
	}
	v := &orchestration.Variables{Context: json.RawMessage(`{"m":{` + strings.Join(members, ",") + `}}`)}
	for _, short := range everything {
		expression := strings.ReplaceAll(short, "v(k)", "m[k]")
		expression = `cel.bind(m, context.m, ` + expression + `)`
		e := New()
		p, err := e.compile(expression, names{})
		if err != nil {
			if !strings.Contains(short, "nothing(") {
				t.Errorf("%s: %v", short, err)
			}
			continue
		}
		cost := func() uint64 {
			bound, err := p.bind(v, newCache[read](maxSources, maxKept))
			if err != nil {
				t.Fatal(err)
			}
			_, details, _ := p.program.Eval(bound)
			return *details.ActualCost()
		}
		want, wantErr := e.Eval(expression, v)
		wantCost := cost()
		tight, err := e.language.plan(e.language.env, p.ast, wantCost-1)
		if err != nil {
			t.Fatal(err)
		}
		for range 1_000 {
			got, err := e.Eval(expression, v)
			if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%s: %s %v, and then %s %v", short, want, wantErr, got, err)
			}
		}
		for range 100 {
			if c := cost(); c != wantCost {
				t.Fatalf("%s costs %d, and then %d", short, wantCost, c)
			}
			bound, _ := p.bind(v, newCache[read](maxSources, maxKept))
			if _, err := p.run(tight, bound, nil); !isTooDear(err) {
				t.Fatalf("%s costs %d, and %d is enough: %v", short, wantCost, wantCost-1, err)
			}
		}
	}
}

// Whatever an expression tries, it ends by cost, and takes memory in proportion.
func TestHostile(t *testing.T) {
	kb := strings.Repeat("a", 1_000)
	mb := text(strings.Repeat("a", 1_000_000))
	many := text("[" + strings.Repeat(`"a",`, 100_000) + `"a"]`)
	v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "S", Output: mb}, {ID: "L", Output: many}}}
	double := func(first, step string, times int) string {
		s := first
		for range times {
			s = `cel.bind(x, ` + s + `, ` + step + `)`
		}
		return s
	}
	for name, expression := range map[string]string{
		"nested loops":             `lists.range(1000).map(a, lists.range(1000).map(b, lists.range(1000).map(c, a + b + c)))`,
		"loops without a list":     `lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, a + b + c >= 0)))`,
		"a doubled text":           double(`"a"`, `x + x`, 40),
		"a doubled text of dyn":    double(`S.output`, `x + x`, 30),
		"a doubled list":           double(`[1]`, `[x, x]`, 40),
		"a doubled list, compared": `dyn(` + double(`[1]`, `[x, x]`, 30) + `) == [1]`,
		"a concatenated list":      double(`[1]`, `x + x`, 40),
		"a doubled object":         double(`{"a": 1}`, `{"a": x, "b": x}`, 40),
		"a replaced empty text":    `S.output.replace("", S.output)`,
		"replace of each":          double(`"aaaaaaaaaa"`, `x.replace("a", "aaaaaaaaaa")`, 12),
		"a long joint":             `L.output.join(S.output)`,
		"joined copies":            `L.output.map(x, S.output).join()`,
		"formatted copies":         `"%s".format([L.output.map(x, S.output)])`,
		"many formatted copies":    `"` + strings.Repeat("%s", 900) + `".format([` + strings.Repeat("S.output,", 899) + `S.output])`,
		"quadratic distinct":       `L.output.map(x, [x]).distinct()`,
		"quadratic sets":           `sets.contains(L.output, L.output.map(x, x + "b"))`,
		"quadratic lists":          `L.output.hasExactly(L.output.map(x, x + "b"))`,
		"a pattern in a loop":      `L.output.exists(x, S.output.matches("(a*)*b"))`,
		"a large pattern":          `S.output.matches("(a{1,100}){1,9}b")`,
		"a long pattern":           `"a".matches(S.output)`,
		"searching in a loop":      `L.output.exists(x, S.output.contains("b"))`,
		"a long search":            `S.output.indexOf(S.output.substring(500000) + "b")`,
		"lengths in a loop":        `L.output.exists(x, size(S.output) == 1)`,
		"conversions in a loop":    `L.output.exists(x, bytes(S.output) == b"")`,
		"quotes in a loop":         `L.output.exists(x, strings.quote(S.output) == "")`,
		"cases in a loop":          `L.output.exists(x, S.output.upperAscii() == "")`,
		"equality in a loop":       `L.output.exists(x, S.output + "b" == S.output)`,
		"sums in a loop":           `L.output.exists(x, L.output != L.output.map(y, y))`,
		"sort in a loop":           `L.output.exists(x, L.output.sort().size() == 1)`,
		"split in a loop":          `L.output.exists(x, S.output.split("").size() == 1)`,
		"literals in a loop":       `L.output.map(x, [` + strings.Repeat("1,", 4_000) + `1])`,
		"texts in a loop":          `L.output.map(x, "` + kb + `" + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)`,
		"a list of one text":       `L.output.map(x, S.output)`,
		"a large range":            `lists.range(100000000)`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := New().Eval(expression, v)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: gave %d bytes", name, len(got))
		} else if !isTooDear(err) && err.Error() != errTooLarge.Error() && !strings.Contains(err.Error(), "a range is") {
			t.Errorf("%s: %v", name, err)
		}
		if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 1_500 {
			t.Errorf("%s: %d MB were allocated", name, grown)
		}
	}
}

// A result is bounded also where it was cheap to make.
func TestResultIsBounded(t *testing.T) {
	v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "S", Output: text(strings.Repeat("\x01", 4<<20))}}}
	if _, err := New().Eval(`[S.output]`, v); err == nil || err.Error() != errTooLarge.Error() {
		t.Error(err)
	}
}

var anyJSON = rapid.Custom(func(t *rapid.T) any { return drawJSON(t, 3) })

func drawJSON(t *rapid.T, depth int) any {
	kinds := 5
	if depth > 0 {
		kinds = 7
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return json.Number(fmt.Sprint(rapid.Int64().Draw(t, "int")))
	case 3:
		return rapid.Float64().Draw(t, "double")
	case 4:
		return rapid.String().Draw(t, "text")
	case 5:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			list = append(list, drawJSON(t, depth-1))
		}
		return list
	default:
		object := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			object[rapid.String().Draw(t, "key")] = drawJSON(t, depth-1)
		}
		return object
	}
}

// canonical decodes JSON such that what is equal in JSON is equal in Go.
func canonical(t interface{ Fatal(...any) }, raw []byte) any {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err, string(raw))
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			if n, err := v.Int64(); err == nil {
				return n
			}
			f, _ := v.Float64()
			if f == float64(int64(f)) && f > -1e15 && f < 1e15 {
				return int64(f)
			}
			return f
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	return walk(v)
}

func TestJSONGoesThroughUnchanged(t *testing.T) {
	e := New()
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.Marshal(map[string]any{"a": anyJSON.Draw(t, "value"), "b": anyJSON.Draw(t, "other")})
		if err != nil {
			t.Fatal(err)
		}
		for _, expression := range []string{`context`, `{"b": context.b, "a": context.a}`, `context.transformMap(k, v, v)`} {
			got, err := e.Eval(expression, &orchestration.Variables{Context: raw})
			if err != nil {
				t.Fatal(expression, err)
			}
			if diff := cmp.Diff(canonical(t, raw), canonical(t, []byte(got))); diff != "" {
				t.Fatalf("%s: %s", expression, diff)
			}
			if again, err := e.Eval(`context`, &orchestration.Variables{Context: json.RawMessage(got)}); err != nil || again != got {
				t.Fatalf("%s became %s, %v", got, again, err)
			}
		}
	})
}

var parts = []string{
	`T1`, `T1.output`, `.status`, `subtasks["T1"]`, `context`, `task`, `x`, `"a"`, `1`, `1.5`, `null`, `true`, `b"x"`, `[`, `]`, `{`, `}`, `(`, `)`, `,`, `:`, `?`, `.`, `[0]`,
	` + `, ` - `, ` == `, ` in `, ` && `, ` || `, ` < `, `.map(x, `, `.filter(x, `, `.all(i, x, `, `.size()`, `.join(`, `.split(`, `.sort()`, `.format(`, `cel.bind(x, `, `has(`,
	`.transformMap(k, x, `, `math.greatest(`, `lists.range(`, `.matches(`, `.replace(`, `timestamp(`, `duration(`, `int(`, `string(`, `optional.of(`, `.?a`, `[?0]`, `.orValue(`,
}

func TestNothingPanics(t *testing.T) {
	e := New()
	rapid.Check(t, func(t *rapid.T) {
		tryAll(t, e, strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 12).Draw(t, "parts"), ""))
	})
}

// tryAll checks and evaluates: what passes the check names nothing unknown, and a
// constant is what evaluating gives.
func tryAll(t interface{ Fatalf(string, ...any) }, e *Expressions, expression string) {
	v := vars()
	given := names{}
	for _, s := range v.Subtasks {
		given.subtasks = append(given.subtasks, s.ID)
	}
	for _, local := range v.Locals {
		given.locals = append(given.locals, local.ID)
	}
	reads, err := e.Check(expression, given.subtasks, given.locals)
	if err != nil {
		if len(err.Error()) > 1_500 {
			t.Fatalf("%q: an error of %d bytes", expression, len(err.Error()))
		}
		return
	}
	got, err := e.Eval(expression, v)
	again, err2 := e.Eval(expression, v)
	if got != again || fmt.Sprint(err) != fmt.Sprint(err2) {
		t.Fatalf("%q: %s %v, and then %s %v", expression, got, err, again, err2)
	}
	if err == nil && !json.Valid([]byte(got)) {
		t.Fatalf("%q gave %s", expression, got)
	}
	if reads.Constant != nil && string(reads.Constant) != got {
		t.Fatalf("%q is %s, and gave %s", expression, reads.Constant, got)
	}
	if reads.Bare != "" && !slices.Equal(reads.Subtasks, []string{reads.Bare}) {
		t.Fatalf("%q reads %+v", expression, reads)
	}
	// Only what it is said to read matters.
	v.Read = nil
	v.Subtasks = slices.DeleteFunc(v.Subtasks, func(s orchestration.Variable) bool { return !slices.Contains(reads.Subtasks, s.ID) })
	if fewer, err3 := e.Eval(expression, v); fewer != got || fmt.Sprint(err3) != fmt.Sprint(err) {
		t.Fatalf("%q: %s %v, and over what it reads %s %v", expression, got, err, fewer, err3)
	}
}

func FuzzExpr(f *testing.F) {
	for _, expression := range everything {
		f.Add(strings.ReplaceAll(expression, "m", "context.b"))
	}
	f.Add(`T1.output.rows.map(r, r.ci_id) + [T3.output]`)
	f.Add(`subtasks["step-1"].output == 42 ? task : context.f`)
	e := New()
	f.Fuzz(func(t *testing.T, expression string) {
		if len(expression) < 500 {
			tryAll(t, e, expression)
		}
	})
}

func BenchmarkEval(b *testing.B) {
	for _, expression := range []string{`T1.output.rows[0].ci_id`, `T1.status == "succeeded"`, `T1.output.rows.filter(r, r.n > 1).map(r, r.ci_id)`} {
		b.Run(expression, func(b *testing.B) {
			e, v := New(), vars()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(expression, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	e := New()
	for i := 0; b.Loop(); i++ {
		if _, err := e.Check(fmt.Sprintf(`T1.output.rows[%d].ci_id == "x"`, i), []string{"T1"}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// What an evaluation costs is told, also of one that is given up.
func TestSpent(t *testing.T) {
	e := New()
	spent := 0
	if _, err := e.Eval(`task + "!"`, &orchestration.Variables{Task: "Hello", Spent: &spent}); err != nil || spent < 1 || spent > 1000 {
		t.Errorf("a cheap one cost %d, error %v", spent, err)
	}
	spent = 0
	dear := `lists.range(10000).all(x, lists.range(10000).all(y, y >= 0))`
	if _, err := e.Eval(dear, &orchestration.Variables{Spent: &spent}); err == nil || spent < maxCost/2 {
		t.Errorf("a dear one cost %d, error %v", spent, err)
	}
}

// Values that were parsed once are read by many evaluations at the same time.
func TestSharedValues(t *testing.T) {
	e := New()
	output := `{"rows":[` + strings.Repeat(`{"id":1,"tags":["a","b"]},`, 50) + `{"id":2,"tags":[]}]}`
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "T1", Status: orchestration.StatusSucceeded, Output: &output}}}
			for range 50 {
				got, err := e.Eval(`T1.output.rows.filter(r, "a" in r.tags).map(r, r.id).size() + T1.output.rows.size()`, v)
				if err != nil || got != "101" {
					t.Errorf("%s, %v", got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// What a model or a tool nests deeper than any reader of the journal could read again
// is no value.
func TestValuesAreNotNestedDeep(t *testing.T) {
	for _, brackets := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
		for depth, fits := range map[int]bool{maxNested: true, maxNested + 1: false, 9_999: false} {
			output := strings.Repeat(brackets[0], depth-1) + "[]" + strings.Repeat(brackets[1], depth-1)
			v := &orchestration.Variables{Subtasks: []orchestration.Variable{{ID: "T1", Output: &output}}}
			value, err := New().Eval("T1.output", v)
			if fits && (err != nil || value != output) || !fits && (err == nil || !strings.Contains(err.Error(), "nested more than")) {
				t.Errorf("%d of %s in each other: error %v", depth, brackets[0], err)
			}
		}
	}
}
