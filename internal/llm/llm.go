// Package llm is Tutti's view of a language model: one request, one answer,
// and an honest record of every call that went out for it.
//
// The package never retries. A failed call is an outcome that the core of
// package orchestration decides upon. (One exception, once: the same request
// again without a feature that the endpoint's 400 named.) It may make a call
// twice at once, where the first one is slow: see [Pool.Hedge].
//
// A [Client] is wrapped from the inside out: a provider (package openai), a
// [Breaker] that spares one that is down, a [Router] that picks it by model, the
// [Pool], which holds the process's slots and each model's gate, and round all of
// them the observer of package metrics.
package llm

import (
	"context"
	"encoding/json"
	"time"
)

// A Client performs chat completions. It is safe for concurrent use.
//
// The failure contract: a nil error means an answer with text that is not
// blank, or with calls of tools, or both. Every other end is an [*Error],
// including a canceled or timed-out context. Both carry the calls that went out,
// refused ones too, so that nothing that may cost money goes uncounted. When
// Chat returns, nothing of the request is on the wire any more and OnText will
// not be called again.
type Client interface {
	Chat(ctx context.Context, req *Request) (*Response, error)
}

// A Role is what a model does in a run.
type Role string

// The roles of a model in a run.
const (
	Planner     Role = "planner"
	Worker      Role = "worker"
	Synthesizer Role = "synthesizer"
	Evaluator   Role = "evaluator"
)

// A Request is one chat completion. It is not changed by the Client.
type Request struct {
	Role     Role
	Model    string // the configured name; the Router turns it into the provider's
	Messages []Message

	MaxTokens       int      // of the answer; 0 leaves it to the endpoint
	Temperature     *float64 // nil leaves it to the endpoint
	ReasoningEffort string   // "" leaves it to the endpoint
	Schema          *Schema  // the shape of the answer; nil for plain text
	Tools           []Tool   // that the model may ask to be called; nil: none

	// Stream asks for the answer piece by piece. OnText, which may be nil, is
	// then called with each piece of text in order, from one goroutine.
	Stream bool
	OnText func(text string)

	// IdempotencyKey is sent as a header, so that a call repeated after a crash
	// can be known as the same. Empty sends none.
	IdempotencyKey string

	// CacheKey is sent as prompt_cache_key where the endpoint takes it: requests of
	// one key begin alike. Empty sends none.
	CacheKey string

	// Timeout bounds the call, counted from the moment its slot is granted.
	// Zero leaves it to ctx.
	Timeout time.Duration

	// Hedge says that a second call may go out, and is paid for, if the first one
	// takes long; see [Pool.Hedge].
	Hedge bool

	// Place says where the request queues for a slot.
	Place Place
}

// A Place in the pool's queue. Slots are shared out to the tenants in equal
// parts, and to each tenant's runs by Weight, in tokens; of runs alike the one
// with the nearest Deadline goes first, and within a run the highest Priority.
type Place struct {
	Tenant   string
	Run      string
	Weight   float64   // of the run among its tenant's, see [Weight]; 0 is 1
	Deadline time.Time // of the run; zero: none
	Priority int       // within the run
}

// A Message is one turn of the conversation.
type Message struct {
	Author Author
	Text   string
	Images []Image // only the user's messages may have any

	ToolCalls []ToolCall // that an assistant asks for
	Answers   string     // of a tool's message: the id of the call that it is the result of
}

// An Author of a message, as the chat API spells it.
type Author string

// The authors of messages.
const (
	System     Author = "system"
	User       Author = "user"
	Assistant  Author = "assistant"
	ToolResult Author = "tool"
)

// A Tool is a function that a model may ask to be called.
type Tool struct {
	Name        string          // letters, digits, _ and -, at most 64
	Description string          // for the model
	Schema      json.RawMessage // of the arguments, a JSON Schema of an object
}

// A ToolCall is a model's wish to have a tool called. It is untrusted: the name
// may be of no tool, and the arguments no JSON. An answer has at most 32 of
// them, of at most 64 kB each, and their ids differ.
type ToolCall struct {
	ID        string // that the result is known by
	Name      string
	Arguments string
}

// An Image is a picture sent along with a message.
type Image struct {
	MediaType string // "image/png", …
	Data      []byte
}

// A Schema is the shape that an answer must have. An endpoint that does not
// take JSON Schema is asked for any JSON object, and one that takes neither is
// asked in words alone, so an answer must be checked in any case.
type Schema struct {
	Name string          // letters, digits, _ and -
	JSON json.RawMessage // a JSON Schema
}

// A Response is an answer.
type Response struct {
	Text      string
	ToolCalls []ToolCall // that the model asks for before it answers
	Truncated bool       // the text was cut at the token limit; never with ToolCalls
	Calls     []Call     // every call that went out for it, in order; the last one that is not Hedged answered
}

// A Call is one request that went out to a provider, or was to: see Unsent.
type Call struct {
	Queued     time.Time // when the pool was asked for a slot
	Started    time.Time // when the request went out
	FirstToken time.Time // zero when not streamed, or when none came
	Ended      time.Time
	Outcome    Outcome
	Usage      Usage
	Hedged     bool // it was made twice at once, and the other one's answer was taken
	Unsent     bool // there was no connection to send it on: nobody was asked, and nothing is to be paid
}

// Usage counts tokens as the provider billed them. Cached ones are part of
// Prompt, Reasoning ones part of Completion.
type Usage struct {
	Prompt     int
	Cached     int
	Completion int
	Reasoning  int
}
