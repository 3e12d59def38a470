package orchestration

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var rewrite = flag.Bool("rewrite", false, "write what the stories say now into their files")

// TestStories tells each file of testdata/stories: after every line that begins
// with ">" (an input in a commit of its own) or "&" (one in the same commit as
// the one before) stand the events and commands that follow from it.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			told := tell(t, string(written))
			if *rewrite {
				if err := os.WriteFile(file, []byte(told), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(written), told); diff != "" {
				t.Errorf("the story goes otherwise (-written +told; -rewrite accepts it):\n%s", diff)
			}
		})
	}
}

// epoch is when every story begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A teller carries a story on, line by line.
type teller struct {
	t      *testing.T
	out    strings.Builder
	run    *Run
	events []Event
	now    time.Time
	depth  map[string]int // by command: commits in series up to the one it was issued in
	commit int            // depth of the current commit
	text   string         // YAML that the next input refers to
}

// StoryExpressions are what expressions in stories mean. A test outside the
// package, which may import their implementation, sets it.
var StoryExpressions Expressions

func storyFuncs() Funcs { return Funcs{Expressions: StoryExpressions} }

func tell(t *testing.T, story string) string {
	te := &teller{t: t, run: New(storyFuncs()), now: epoch, depth: map[string]int{}}
	for line := range strings.Lines(story) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&te.out, line)
		case strings.HasPrefix(line, "| "):
			fmt.Fprintln(&te.out, line)
			te.text += line[2:] + "\n"
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&te.out, line)
			te.commit = 0
			te.hear(line[2:])
		case strings.HasPrefix(line, "& "):
			fmt.Fprintln(&te.out, line)
			te.hear(line[2:])
		}
	}
	return te.out.String()
}

func (te *teller) hear(line string) {
	words := strings.Fields(line)
	if at, ok := strings.CutPrefix(words[0], "@"); ok {
		te.now = epoch.Add(duration(te.t, at))
		words = words[1:]
	}
	stopping := words[0] == "stopping"
	if stopping {
		words = words[1:]
	}
	switch words[0] {
	case "replay":
		te.replay()
		return
	case "commits":
		deepest := te.commit
		for _, d := range te.depth {
			deepest = max(deepest, d)
		}
		fmt.Fprintf(&te.out, "  %d in series\n", deepest)
		return
	case "result":
		te.result()
		return
	}
	said, answers := te.said(words)
	te.text = ""
	te.commit = max(te.commit, te.depth[answers]+1)
	events, commands, err := te.run.Step(Input{Time: te.now, Said: said, Stopping: stopping})
	if err != nil {
		fmt.Fprintf(&te.out, "  refused: %v\n", err)
	}
	if got, want := te.run.Progress, recounted(te.run); got != want {
		te.t.Errorf("after %q the progress is %+v; counted anew it is %+v", line, got, want)
	}
	for _, e := range events {
		te.events = append(te.events, e)
		fmt.Fprintf(&te.out, "  %s\n", tellEvent(e))
	}
	for _, c := range commands {
		te.depth[c.Key()] = te.commit
		fmt.Fprintf(&te.out, "  do %s\n", tellCommand(c))
	}
	if len(events) > 0 {
		te.depth["last"] = max(te.depth["last"], te.commit)
	}
}

// recounted returns the progress as it follows from the subtasks. One that was
// dropped does not count, also while it is being aborted.
func recounted(r *Run) (p Progress) {
	for _, s := range r.Subtasks {
		if s.Dropped == 0 {
			p.Total++
			p.count(s.Status, +1)
		}
	}
	return p
}

// said reads an input, and the key of the command that it answers.
func (te *teller) said(words []string) (Said, string) {
	rest := strings.Join(words[min(2, len(words)):], " ")
	switch words[0] {
	case "start":
		return Start{ID: "run_1", Spec: te.specOf(words[1:])}, ""
	case "accept":
		return Start{ID: "run_1", Spec: specOf(te.t, words[1:]), Queue: true}, ""
	case "begin":
		return Begin{}, ""
	case "resume":
		return Resume{}, ""
	case "drafted":
		return Drafted{Attempt: number(te.t, words[1]), Subtasks: planOf(words[2:]).Subtasks}, ""
	case "planned":
		attempt := number(te.t, words[1])
		p := Planned{Attempt: attempt, Calls: callsOf("planner", attempt), Answer: rest}
		switch words[2] {
		case "failed":
			p.Failure, p.Answer = failureOf(te.t, words[3:]), ""
			p.Calls = unless(p.Failure.Spared, p.Calls)
		case "unreadable":
			p.Problems = []Problem{{Code: "unreadable", Detail: "There is no plan in the answer."}}
		default:
			p.Plan = planOf(words[2:])
		}
		if te.text != "" {
			p.Plan = te.plan()
		}
		return p, fmt.Sprintf("plan/%d", attempt)
	case "worked":
		id, n, _ := strings.Cut(words[1], "#")
		w := Worked{Subtask: id, Attempt: number(te.t, n), Output: rest, Calls: callsOf("worker", number(te.t, n))}
		w.Output = repeated(te.t, rest)
		if len(words) > 2 && words[2] == "failed" {
			w.Failure, w.Output = failureOf(te.t, words[3:]), ""
			w.Calls = unless(w.Failure.Spared, w.Calls)
		}
		te.outcome(&w, words)
		return w, fmt.Sprintf("subtask/%s/%s", id, n)
	case "synthesized":
		s := Synthesized{Attempt: number(te.t, words[1]), Output: repeated(te.t, rest), Calls: callsOf("synthesizer", 1)}
		if words[2] == "failed" {
			s.Failure, s.Output = failureOf(te.t, words[3:]), ""
			s.Calls = unless(s.Failure.Spared, s.Calls)
		}
		return s, fmt.Sprintf("synthesis/%d", s.Attempt)
	case "due":
		return Due{Timer: words[1]}, "timer/" + words[1]
	case "compensated":
		id, n, _ := strings.Cut(words[1], "#")
		c := Compensated{Subtask: id, Attempt: number(te.t, n)}
		if len(words) > 2 {
			c.Failure = failureOf(te.t, words[3:])
		}
		return c, fmt.Sprintf("compensation/%s/%s", id, n)
	case "decide":
		return te.decision(words[1:]), ""
	case "cancel":
		return Cancel{Detail: strings.Join(words[1:], " ")}, ""
	}
	te.t.Fatalf("what is %q?", words)
	return nil, ""
}

// repeated reads an output such as x*11, eleven times x.
func repeated(t *testing.T, output string) string {
	if n, ok := strings.CutPrefix(output, "x*"); ok {
		return strings.Repeat("x", number(t, n))
	}
	return output
}

// replay folds the story's events anew, through JSON, and goes on with that run.
func (te *teller) replay() {
	again := New(storyFuncs())
	for _, e := range te.events {
		again.Replay(throughJSON(te.t, e))
	}
	if diff := cmp.Diff(te.run, again, cmpopts.IgnoreUnexported(Run{}, SubtaskState{})); diff != "" {
		te.t.Errorf("the replayed run is another (-lived +replayed):\n%s", diff)
	}
	te.run = again
	for _, c := range again.Outstanding() {
		fmt.Fprintf(&te.out, "  outstanding %s\n", tellCommand(c))
	}
}

func throughJSON(t interface{ Fatal(...any) }, e Event) Event {
	data, err := json.Marshal(e.Fact)
	if err != nil {
		t.Fatal(err)
	}
	if e.Fact, err = DecodeFact(e.Type(), data); err != nil {
		t.Fatal(err)
	}
	return e
}

func (te *teller) result() {
	r := te.run
	fmt.Fprintf(&te.out, "  %s", r.Status)
	if r.Partial {
		fmt.Fprint(&te.out, " partial")
	}
	if r.Answer != "" {
		fmt.Fprintf(&te.out, " answer=%s", r.Answer)
	}
	if r.Failure != nil {
		fmt.Fprintf(&te.out, " failure=%s", r.Failure.Code)
	}
	if r.Reason != nil {
		fmt.Fprintf(&te.out, " reason=%s", r.Reason.Code)
	}
	fmt.Fprintf(&te.out, " calls=%d\n", r.Totals.LLMCalls)
	for _, s := range r.Subtasks {
		fmt.Fprintf(&te.out, "  %s %s attempts=%d\n", s.ID, s.Status, s.Attempts)
	}
}

func tellEvent(e Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.Seq, e.Type())
	if e.Subtask != "" {
		fmt.Fprintf(&b, " %s", e.Subtask)
	}
	if e.Attempt > 0 {
		fmt.Fprintf(&b, "#%d", e.Attempt)
	}
	switch f := e.Fact.(type) {
	case *RunResumed:
		if f.Starts > 0 {
			fmt.Fprintf(&b, " start %d", f.Starts)
		}
	case *RunWaiting:
		fmt.Fprintf(&b, " for %s: %s", f.Waiting.For, f.Waiting.Message)
	case *PlanWaiting:
		fmt.Fprintf(&b, " version %d", f.Version)
	case *PlanDecided:
		fmt.Fprintf(&b, " version %d: %s", f.Version, f.Action)
	case *SubtaskWaiting:
		tellWaiting(&b, f.Waiting)
	case *SubtaskDecided:
		fmt.Fprintf(&b, ": %s", f.Action)
		if f.Expired {
			b.WriteString(", as nobody did")
		}
	case *SubtaskSucceeded:
		tellSucceeded(&b, f)
	case *EvaluationCompleted:
		fmt.Fprintf(&b, ": %s", f.Verdict)
		for _, finding := range f.Findings {
			fmt.Fprintf(&b, " %s=%t", finding.Check, finding.Passed)
		}
	case *SubtaskCompensated:
		if f.Failure != nil {
			fmt.Fprintf(&b, ": %s", f.Failure.Code)
		}
	case *PlanStarted:
		if f.Reason != nil {
			fmt.Fprintf(&b, " because: %s", f.Reason.Detail)
		}
		tellGivenIDs(&b, f.Given)
		tellTry(&b, f.Repeats, f.Fallback, f.Reserved)
	case *SynthesisStarted:
		tellTry(&b, f.Repeats, f.Fallback, f.Reserved)
	case *PlanReplaced:
		fmt.Fprintf(&b, " version %d: kept %v added %v dropped %v", f.Version, f.Kept, f.Added, f.Dropped)
	case *BudgetWarning:
		fmt.Fprintf(&b, ": %s", f.Limit)
	case *BudgetExceeded:
		fmt.Fprintf(&b, ": %s", f.Reason.Detail)
	case *PlanCreated:
		fmt.Fprintf(&b, " by %s: %s", f.Source, strings.Join(f.Subtasks, " "))
		if len(f.Dropped) > 0 {
			fmt.Fprintf(&b, " dropped %v", f.Dropped)
		}
	case *PlanInvalid:
		fmt.Fprintf(&b, ": %s", f.Failure.Detail)
	case *PlanSubtaskAdded:
		if len(f.Subtask.DependsOn) > 0 {
			fmt.Fprintf(&b, " after %s", strings.Join(f.Subtask.DependsOn, " "))
		}
		if len(f.Subtask.Implied) > 0 {
			fmt.Fprintf(&b, " (unseen %s)", strings.Join(f.Subtask.Implied, " "))
		}
	case *SubtaskStarted:
		if f.Worker != "" {
			fmt.Fprintf(&b, " by %s", f.Worker)
		}
		if f.CacheKey != "" {
			b.WriteString(" cacheable")
		}
		tellTry(&b, f.Repeats, f.Fallback, f.Reserved)
	case *SubtaskSkipped:
		fmt.Fprintf(&b, ": %s%s", f.Because, f.Failure.Detail)
	case *SubtaskFailed:
		fmt.Fprintf(&b, ": %s", f.Failure.Code)
	case *SubtaskRetrying:
		fmt.Fprintf(&b, ": %s", f.Failure.Code)
		if f.Again {
			b.WriteString(", to be made again")
		}
		if f.Fallback {
			b.WriteString(", falling back")
		}
	case *RunCanceling:
		fmt.Fprintf(&b, " to be %s: %s", f.Status, f.Reason.Code)
	case *RunFailed:
		fmt.Fprintf(&b, ": %s: %s", f.Failure.Code, f.Failure.Detail)
	}
	return b.String()
}

// tellGivenIDs says what a planner is given.
func tellGivenIDs(b *strings.Builder, ids []string) {
	if len(ids) > 0 {
		fmt.Fprintf(b, " given %s", strings.Join(ids, " "))
	}
}

// tellTry says what is special about an attempt.
func tellTry(b *strings.Builder, repeats int, fallback bool, reserved *Reserve) {
	if repeats > 0 {
		fmt.Fprintf(b, " repeating #%d", repeats)
	}
	if fallback {
		b.WriteString(" falling back")
	}
	if reserved != nil {
		fmt.Fprintf(b, " with %d+%d tokens", reserved.PromptTokens, reserved.AnswerTokens)
	}
}

func tellCommand(c Command) string {
	told := tellBody(c)
	if key := CallKey(c); key != c.Key() {
		told += " as " + key
	}
	return told
}

func tellBody(c Command) string {
	switch c := c.(type) {
	case MakePlan:
		if c.Revision != nil && c.Repair == nil {
			var b strings.Builder
			fmt.Fprintf(&b, "%s revising", c.Key())
			for _, s := range c.Revision.Subtasks {
				fmt.Fprintf(&b, " %s=%s", s.ID, s.Status)
			}
			return b.String()
		}
		var b strings.Builder
		b.WriteString(c.Key())
		if c.Repair != nil {
			fmt.Fprintf(&b, " repairing %q", c.Repair.Problems[0].Detail)
		}
		ids := make([]string, len(c.Given))
		for i := range c.Given {
			ids[i] = c.Given[i].ID
		}
		tellGivenIDs(&b, ids)
		return b.String()
	case Work:
		var b strings.Builder
		fmt.Fprintf(&b, "%s path=%d", c.Key(), c.Priority)
		if c.Fallback {
			fmt.Fprintf(&b, " simply by %s", c.Model)
		}
		for _, d := range c.Dependencies {
			fmt.Fprintf(&b, " %s=%q", d.ID, d.Output.Whole)
			if d.Output.Seq > 0 {
				fmt.Fprintf(&b, "(%d bytes in %d)", d.Output.Bytes, d.Output.Seq)
			}
		}
		tellGiven(&b, c)
		return b.String()
	case Compensate:
		return fmt.Sprintf("%s by %s %s", c.Key(), c.Tool, c.Arguments)
	case Synthesize:
		var b strings.Builder
		b.WriteString(c.Key())
		for _, r := range c.Results {
			fmt.Fprintf(&b, " %s=%s", r.ID, r.Status)
		}
		return b.String()
	case SetTimer:
		return fmt.Sprintf("%s at @%s", c.Key(), c.At.Sub(epoch))
	}
	return c.Key()
}

// specOf reads settings such as max_concurrency=2 and a plan such as plan=a,b<a+c.
func (te *teller) specOf(settings []string) *Spec {
	spec := specOf(te.t, settings)
	if te.text != "" {
		plan := te.plan()
		spec.Plan = &plan
	}
	return spec
}

func specOf(t *testing.T, settings []string) *Spec {
	spec := &Spec{
		Format: SpecFormat, Tenant: "default", Task: "the task", OnFailure: OnFailurePartial,
		Synthesizer: Synthesizer{Mode: SynthesizeModel, Role: Role{Model: "m"}},
		Planner:     Planner{Role: Role{Model: "m"}},
		Worker:      Worker{Role: Role{Model: "m"}},
		Limits: Limits{
			MaxConcurrency: 10, Timeout: 10 * time.Minute, SubtaskTimeout: time.Minute,
			MaxAttempts: 3, MaxSubtasks: 100, MaxOutputBytes: 1 << 20,
		},
	}
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		switch key {
		case "plan":
			p := planOf(strings.Split(value, ","))
			spec.Plan = &p
		case "max_concurrency":
			spec.Limits.MaxConcurrency = number(t, value)
		case "max_attempts":
			spec.Limits.MaxAttempts = number(t, value)
		case "max_subtasks":
			spec.Planner.MaxSubtasks = number(t, value)
		case "most_subtasks":
			spec.Limits.MaxSubtasks = number(t, value)
		case "max_output_bytes":
			spec.Limits.MaxOutputBytes = number(t, value)
		case "timeout":
			spec.Limits.Timeout = duration(t, value)
		case "on_failure":
			spec.OnFailure = OnFailure(value)
		case "max_replans":
			spec.Limits.MaxReplans = number(t, value)
		case "replan_cooldown":
			spec.Limits.ReplanCooldown = duration(t, value)
		case "max_llm_calls":
			spec.Limits.MaxLLMCalls = number(t, value)
		case "max_tokens":
			spec.Limits.MaxTokens = number(t, value)
		case "fallback":
			spec.Models = []Model{{Name: "m", Fallback: value}}
		case "synthesizer":
			spec.Synthesizer.Mode = SynthesisMode(value)
		case "json_schema":
			spec.Synthesizer.JSONSchema = json.RawMessage(value)
		case "review_plan":
			spec.ReviewPlan = value == "true"
		case "cache":
			spec.Cache = Duration(duration(t, value))
		case "policy":
			spec.Policy = append(spec.Policy, Check{Expr: value})
		case "strict":
			spec.Policy = append(spec.Policy, Check{Regex: value, MaxRevisions: new(int)})
		case "context":
			spec.Context = json.RawMessage(value)
		case "tool":
			spec.Tools = append(spec.Tools, Tool{Name: value})
		case "reads":
			spec.Tools = append(spec.Tools, Tool{Name: value, ReadOnly: true})
		case "given":
			id, output, _ := strings.Cut(value, ":")
			if spec.Fork == nil {
				spec.Fork = &Fork{Run: "run_0"}
			}
			spec.Fork.Given = append(spec.Fork.Given, Given{Subtask: id, Output: output})
		case "worker":
			name, tools, _ := strings.Cut(value, "+")
			spec.Workers = append(spec.Workers, Worker{Name: name, Role: Role{Model: "m-" + name}, Tools: strings.FieldsFunc(tools, func(r rune) bool { return r == '+' })})
		default:
			t.Fatalf("what is %q?", setting)
		}
	}
	return spec
}

// planOf reads subtasks such as d<b+c (d depends on b and c), d<<b (after it
// ended in any way), d:researcher (of that type), d!skip (its on_failure) and d'
// (which is described otherwise).
func planOf(words []string) Plan {
	var p Plan
	for _, word := range words {
		id, deps, _ := strings.Cut(word, "<")
		id, policy, _ := strings.Cut(id, "!")
		id, kind, _ := strings.Cut(id, ":")
		s := Subtask{ID: strings.TrimRight(id, "'"), Type: kind, Description: "do " + id, OnFailure: Recovery{Do: OnFailure(policy)}}
		if rest, found := strings.CutPrefix(deps, "<"); found {
			deps, s.After = rest, AfterEnded
		}
		if deps != "" {
			s.DependsOn = strings.Split(deps, "+")
		}
		p.Subtasks = append(p.Subtasks, s)
	}
	return p
}

// failureOf reads a code, then "retryable", "spared" and "after=2s" where they apply.
func failureOf(t *testing.T, words []string) *Failure {
	f := &Failure{Code: Code(words[0]), Detail: "It went wrong."}
	for _, word := range words[1:] {
		if after, ok := strings.CutPrefix(word, "after="); ok {
			f.RetryAfter = duration(t, after)
		}
		f.Spared = f.Spared || word == "spared"
		f.Retryable = f.Retryable || f.Spared || word == "retryable"
	}
	return f
}

// unless returns the calls of an attempt, none where nobody was asked.
func unless(spared bool, calls []Call) []Call {
	if spared {
		return nil
	}
	return calls
}

func callsOf(role string, attempt int) []Call {
	return []Call{{
		Role: role, Model: "m", Attempt: attempt, Outcome: "ok",
		Queued: epoch, Started: epoch, Ended: epoch, Usage: Usage{PromptTokens: 7, CompletionTokens: 3},
	}}
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
