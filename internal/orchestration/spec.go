package orchestration

import (
	"encoding/json"
	"time"
)

// SpecFormat is the version of the journal's format that this code writes.
const SpecFormat = 2 // 1 knew workers alone

// A Spec is everything that shapes a run. It is resolved and checked before
// the run is accepted and kept in its first event, so that a restart with
// another configuration changes nothing of a run already begun. Secrets and
// endpoints are no part of it: they are looked up by the model's name.
type Spec struct {
	Format    int    `json:"format"`  // SpecFormat of the writer
	Version   string `json:"version"` // of the server that accepted the run
	Tenant    string `json:"tenant"`
	Simulated bool   `json:"simulated,omitempty"` // answered by the embedded simulator

	Task        string            `json:"task"`
	Context     json.RawMessage   `json:"context,omitempty"` // a JSON object, in the caller's order
	Attachments []Attachment      `json:"attachments,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Priority    int               `json:"priority,omitempty"` // of its calls among those of the tenant's runs, -10 to 10

	Planner     Planner     `json:"planner"`
	Worker      Worker      `json:"worker"` // performs what no configured worker is named for
	Synthesizer Synthesizer `json:"synthesizer"`
	Evaluator   Role        `json:"evaluator"`         // judges outputs and decides by model
	Workers     []Worker    `json:"workers,omitempty"` // the configured specialists, by name in ascending order
	Models      []Model     `json:"models"`            // every model that the above name

	Plan       *Plan     `json:"plan,omitempty"` // the caller's own; nil asks the planner
	Prepared   *Plan     `json:"-"`              // Plan, where it was prepared already: Start takes it, and does not check again
	Limits     Limits    `json:"limits"`
	Policy     []Check   `json:"policy,omitempty"`      // every worker's output must pass; max_revisions counts here too
	ReviewPlan bool      `json:"review_plan,omitempty"` // a person looks at every plan of the planner before it is carried out
	Cache      Duration  `json:"cache,omitempty"`       // how long outputs, plans and answers may be used again; 0: not at all
	Workflow   *Origin   `json:"workflow,omitempty"`    // the template that the run is made of
	Fork       *Fork     `json:"fork,omitempty"`        // what it takes over from another run
	Tools      []Tool    `json:"tools,omitempty"`       // every configured tool that the run may call
	OnFailure  OnFailure `json:"on_failure"`
	Deltas     bool      `json:"deltas,omitempty"`  // a reader asked for tokens as the run started, and may not be there yet
	Held       bool      `json:"held,omitempty"`    // its calls are paid from the tenant's budget
	Webhook    string    `json:"webhook,omitempty"` // where to tell that it ended, or waits; empty: nowhere
}

// A Planner says how the plan is to be made.
type Planner struct {
	Role
	MinSubtasks int `json:"min_subtasks"`
	MaxSubtasks int `json:"max_subtasks"`
}

// A Worker performs subtasks: the default one (without a name) or a configured
// specialist.
type Worker struct {
	Role
	Name        string   `json:"name,omitempty"`
	Description string   `json:"description,omitempty"` // tells the planner what it is good at
	MaxTokens   int      `json:"max_tokens,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
	SystemFirst bool     `json:"system_first,omitempty"` // its System takes the place of the system message that the run's workers share
	Fallback    string   `json:"fallback,omitempty"`     // the model to ask when its own has failed; empty: that model's fallback
	Tools       []string `json:"tools,omitempty"`        // that it may call, by name
}

// A Tool is what a run knows of a tool that it may call. How it is called is
// looked up by its name.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"` // for the models
	Schema      json.RawMessage `json:"schema,omitempty"`      // of the arguments, a JSON Schema of an object
	ReadOnly    bool            `json:"read_only,omitempty"`   // it changes nothing
}

// An Origin is the template that a run is made of, as it was then.
type Origin struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Hash    string `json:"hash"` // SHA-256 of the file, in hex
}

// A Fork is what a run takes over from another one: the outputs of subtasks that
// it does not perform again.
type Fork struct {
	Run   string  `json:"run"`
	Given []Given `json:"given,omitempty"` // in plan order
	// Left are subtasks that a decision leaves undone by ending the run: one of that run
	// or one that was given in its place.
	Left []string `json:"left,omitempty"`
}

// A Given is the output of a subtask that is not performed.
type Given struct {
	Subtask   string `json:"subtask"`
	Output    string `json:"output"`
	Fallback  bool   `json:"fallback,omitempty"` // as the run that is forked had it
	Shortened bool   `json:"shortened,omitempty"`
}

// A Synthesizer says how the final output is to be made.
type Synthesizer struct {
	Role
	Mode       SynthesisMode   `json:"mode"`
	JSONSchema json.RawMessage `json:"json_schema,omitempty"` // what the final output must satisfy
}

// A Role is what the planner, a worker and the synthesizer have in common.
type Role struct {
	Model           string `json:"model"`
	Prompt          string `json:"prompt,omitempty"` // a template; empty takes the default
	System          string `json:"system,omitempty"` // empty takes the default
	ReasoningEffort string `json:"reasoning_effort,omitempty"`
}

// SynthesisMode says who makes the final output.
type SynthesisMode string

const (
	// SynthesizeModel has the synthesizer model make one answer.
	SynthesizeModel SynthesisMode = "model"
	// SynthesizeNone leaves it at the workers' results: there is no final output.
	SynthesizeNone SynthesisMode = "none"
)

// A Model is what a run needs to know of a model that it may call.
type Model struct {
	Name          string    `json:"name"`
	ContextWindow int       `json:"context_window,omitempty"` // in tokens, prompt and answer; 0: unknown
	Price         *Price    `json:"price,omitempty"`          // nil: unknown
	Stream        Streaming `json:"stream,omitempty"`
	Stagger       bool      `json:"stagger,omitempty"`  // a run's workers wait for the first one's first token
	Fallback      string    `json:"fallback,omitempty"` // the model to ask when this one has failed
}

// A Price is in US dollars for a million tokens.
type Price struct {
	Input  float64 `json:"input"`
	Cached float64 `json:"cached"`
	Output float64 `json:"output"`
}

// Cost returns what u costs, in US dollars. A nil Price costs nothing.
func (p *Price) Cost(u Usage) float64 {
	if p == nil {
		return 0
	}
	return (float64(u.PromptTokens-u.CachedTokens)*p.Input +
		float64(u.CachedTokens)*p.Cached +
		float64(u.CompletionTokens)*p.Output) / 1e6
}

// Streaming says whether a model's answers are streamed.
type Streaming string

const (
	// StreamAuto streams where it serves: plans, and all else when a reader asked for deltas.
	StreamAuto Streaming = ""
	// StreamAlways streams every answer.
	StreamAlways Streaming = "always"
	// StreamNever streams none.
	StreamNever Streaming = "never"
)

// An Attachment is an image for the planner and the workers. Its bytes lie in
// the journal beside the run, under its place in Spec.Attachments.
type Attachment struct {
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Bytes     int    `json:"bytes"`
}

// Limits bound a run.
type Limits struct {
	MaxConcurrency int           `json:"max_concurrency"` // subtasks running at once
	Timeout        time.Duration `json:"timeout"`         // from run.started
	SubtaskTimeout time.Duration `json:"subtask_timeout"` // of one attempt, from its first slot
	MaxAttempts    int           `json:"max_attempts"`    // of a subtask, the planner and the synthesizer each
	MaxSubtasks    int           `json:"max_subtasks"`
	MaxOutputBytes int           `json:"max_output_bytes"` // of one subtask's output

	MaxReplans     int           `json:"max_replans"`
	ReplanCooldown time.Duration `json:"replan_cooldown"` // between the starts of two replans
	MaxIterations  int           `json:"max_iterations"`  // of a loop that has no bound of its own

	// What the run may spend on models; 0: any amount.
	MaxLLMCalls int     `json:"max_llm_calls,omitempty"`
	MaxTokens   int     `json:"max_tokens,omitempty"` // of prompts and answers
	MaxCostUSD  float64 `json:"max_cost_usd,omitempty"`
}

// OnFailure says what becomes of a run when a subtask has failed for good. A
// subtask's own goes before the run's.
type OnFailure string

const (
	// OnFailurePartial makes the answer of what succeeded. It is the default.
	OnFailurePartial OnFailure = "partial"
	// OnFailureFail ends the run as failed.
	OnFailureFail OnFailure = "fail"
	// OnFailureReplan has the planner revise the plan. When the run is out of
	// replans it is as partial.
	OnFailureReplan OnFailure = "replan"
	// OnFailureSkip is a subtask's own alone: it goes on as if the subtask had not been
	// asked for: what depends on it starts without its output.
	OnFailureSkip OnFailure = "skip"
	// OnFailureEscalate is a subtask's own alone: a person decides what becomes of it.
	OnFailureEscalate OnFailure = "escalate"
	// OnFailureFallback is a subtask's own alone: it tries a simpler prompt, also where no
	// fallback model is configured. When that fails too it has its fallback value, or
	// is as the run's own.
	OnFailureFallback OnFailure = "fallback"
)

// workflow returns the name of the template that the run is made of, "" if of none.
func (s *Spec) workflow() string {
	if s.Workflow == nil {
		return ""
	}
	return s.Workflow.Name
}

// WorkerNamed returns the configured worker of that name.
func (s *Spec) WorkerNamed(name string) (Worker, bool) {
	for i := range s.Workers {
		if s.Workers[i].Name == name {
			return s.Workers[i], true
		}
	}
	return Worker{}, false
}

// Model returns what is known of the model of that name: at least its name.
func (s *Spec) Model(name string) Model {
	for i := range s.Models {
		if s.Models[i].Name == name {
			return s.Models[i]
		}
	}
	return Model{Name: name}
}
