package orchestration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// What keys are made of. Whatever the call of a role, or what an expression makes of
// its output, depends on is in it, and nothing else: no times.
type (
	keyed struct {
		Format    int
		Simulated bool // the simulator's answers are no model's
		Role      Role
		Task      string
		Context   json.RawMessage
		Of        any
	}
	keyedSubtask struct {
		By        Worker
		Evaluator Role
		Tools     []Tool
		Subtask   Subtask
		Simply    bool
		Model     string
		Policy    []Check
		Limit     int
		Given     []keyedText
		Shown     []keyedResult
		Used      []keyedResult
		Locals    map[string]json.RawMessage
		Run       string `json:",omitempty"` // its id, where an expression reads it
		Task      string
		Planner   *keyedPlan
	}
	keyedText struct {
		Name string
		Text string
		Hash string
	}
	keyedResult struct {
		ID, Type, Description string
		Status                Status
		Hash                  string
	}
	keyedPlan struct {
		Planner     Planner
		Workers     []keyedResult
		MaxSubtasks int
	}
	keyedAnswer struct {
		Synthesizer Synthesizer
		Analysis    string
		Results     []keyedResult
		Limit       int
	}
)

// keyFormat changes when our own prompts do, so that older answers are not used.
const keyFormat = 2

func (r *Run) keyOf(k keyed) string {
	k.Format, k.Simulated = keyFormat, r.Spec.Simulated
	sum := sha256.Sum256(encoded(k))
	return hex.EncodeToString(sum[:])
}

// subtaskKey returns the key of a subtask's next attempt, "" when nothing of it
// is cached.
func (r *Run) subtaskKey(s *SubtaskState) string {
	if !r.caches() || r.ttl(s) == 0 {
		return ""
	}
	by, role, model := r.whom(s)
	of := keyedSubtask{Subtask: completed(s.Subtask), Simply: s.FellBack, Model: model, Evaluator: r.Spec.Evaluator, Limit: r.Spec.Limits.MaxOutputBytes}
	of.Subtask.ID, of.Subtask.DependsOn, of.Subtask.Cache, of.Subtask.Timeout, of.Subtask.Retry = "", nil, 0, 0, nil
	switch s.Kind {
	case KindWorker:
		of.By, of.Policy = by, r.Spec.Policy
	case KindPlan:
		of.Task, _ = r.planTask(s)
		planner := r.keyedPlan()
		of.Planner = &planner
	}
	for _, t := range r.Spec.Tools {
		if slices.Contains(of.By.Tools, t.Name) || s.Tool != nil && s.Tool.Name == t.Name {
			of.Tools = append(of.Tools, t)
		}
	}
	if !r.keyedMaterial(s, &of) {
		return ""
	}
	return r.keyOf(keyed{Role: *role, Task: r.Spec.Task, Context: r.contextOf(s), Of: of})
}

// keyedMaterial adds to a key what a subtask sees of others. It reports whether it
// could: what ended before anything was to be cached has no hash.
func (r *Run) keyedMaterial(s *SubtaskState, of *keyedSubtask) bool {
	hashed := true
	keyed := func(on *SubtaskState) keyedResult {
		hashed = hashed && (on.Hash != "" || on.Status != StatusSucceeded)
		return on.keyed()
	}
	given, _ := r.given(s)
	for _, v := range given {
		text := keyedText{Name: v.Name, Text: v.Text.Whole}
		if on := r.resolve(s, s.Passes[v.Name]); v.Text.Seq > 0 && on != nil {
			text.Hash = keyed(on).Hash
		}
		of.Given = append(of.Given, text)
	}
	for on := range r.shown(s) {
		of.Shown = append(of.Shown, keyed(on))
	}
	if s.Gives != "" || s.Check != nil && s.Check.Expr != "" {
		of.Locals = map[string]json.RawMessage{}
		for _, local := range r.locals(s) {
			of.Locals[local.ID] = appendJSON(nil, local.Output)
		}
		for _, name := range s.Uses {
			of.Used = append(of.Used, keyed(r.resolve(s, name)))
		}
	}
	if r.readsRun(s) {
		of.Run = r.ID
	}
	return hashed
}

// readsRun reports whether what others see of a subtask's output says which run it is
// of, or what it must satisfy does.
func (r *Run) readsRun(s *SubtaskState) bool {
	expressions := []string{s.Gives}
	if s.Check != nil {
		expressions = append(expressions, s.Check.Expr)
	}
	if s.Kind == KindWorker {
		for i := range r.Spec.Policy {
			expressions = append(expressions, r.Spec.Policy[i].Expr)
		}
	}
	locals := []string{"output"}
	for _, local := range r.locals(s) {
		locals = append(locals, local.ID)
	}
	return r.funcs.Expressions != nil && slices.ContainsFunc(expressions, func(expression string) bool {
		if !strings.Contains(expression, "run") { // most do not
			return false
		}
		reads, err := r.funcs.Expressions.Check(expression, s.Uses, locals)
		return err == nil && reads.Run
	})
}

func (s *SubtaskState) keyed() keyedResult {
	return keyedResult{s.ID, s.Type, s.Description, s.Status, s.Hash}
}

// keyedPlan returns what a planner's answer depends on besides what it is asked.
func (r *Run) keyedPlan() keyedPlan {
	of := keyedPlan{Planner: r.Spec.Planner, MaxSubtasks: r.Spec.Limits.MaxSubtasks}
	for _, w := range r.Spec.Workers {
		of.Workers = append(of.Workers, keyedResult{ID: w.Name, Description: w.Description})
	}
	return of
}

// planKey returns the key of the planner's next attempt. Revisions of a plan are
// not cached, nor is the rest of one that is given in part.
func (r *Run) planKey(revise *Reason, given []string) string {
	if r.Spec.Cache == 0 || !r.caches() || revise != nil || r.Planning.Version > 0 || len(given) > 0 {
		return ""
	}
	of := r.keyedPlan()
	of.Planner.Model = r.plannerModel()
	return r.keyOf(keyed{Role: of.Planner.Role, Task: r.Spec.Task, Context: r.Spec.Context, Of: of})
}

// synthesisKey returns the key of the synthesizer's next attempt.
func (r *Run) synthesisKey() string {
	if r.Spec.Cache == 0 || !r.caches() {
		return ""
	}
	of := keyedAnswer{Synthesizer: r.Spec.Synthesizer, Analysis: r.Planning.Analysis, Limit: r.Spec.Limits.MaxOutputBytes}
	of.Synthesizer.Model = r.synthesizerModel()
	for _, s := range r.Subtasks {
		if s.answers() {
			of.Results = append(of.Results, s.keyed())
		}
	}
	return r.keyOf(keyed{Role: of.Synthesizer.Role, Task: r.Spec.Task, Context: r.Spec.Context, Of: of})
}
