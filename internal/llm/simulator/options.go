package simulator

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Options say how the simulator behaves. The zero value answers every call at
// once and well. Times may be zero, shares and rates lie between 0 and 1.
type Options struct {
	// Seed varies what the rates below pick, and the words of the answers.
	Seed uint64

	// A call of n tokens takes Latency + FirstToken + (n-1) × TokenInterval,
	// whole or streamed. A stream sends its headers after Latency.
	Latency       time.Duration
	FirstToken    time.Duration
	TokenInterval time.Duration

	// TailShare of the calls take TailFactor times as long as that.
	TailShare  float64
	TailFactor float64

	// ChunkTokens is the number of tokens in one piece of a stream; 0 means 1.
	ChunkTokens int

	// Faults are the shares of calls that meet each fault. Where they add up to
	// more than 1, the later ones, in the order of the constants, come short.
	Faults map[Fault]float64

	// RetryAfter is sent, in whole seconds rounded up, with every 429 and 503.
	// 0 sends none.
	RetryAfter time.Duration

	// Malformed are the shares of planners' answers that bear each flaw.
	Malformed map[Flaw]float64

	// Capacity is the number of calls in flight above which a call gets 429. 0 means no bound.
	Capacity int

	// ContextWindow is the number of prompt tokens above which a call gets
	// OpenAI's 400, context_length_exceeded. 0 means no bound.
	ContextWindow int

	// Unsupported features get OpenAI's 400 that names them.
	Unsupported []Feature

	// PrefixCache says from when on a prompt's prefix counts as cached.
	PrefixCache CacheMode

	// ReasoningTokens are added to the completion tokens of every answer. They
	// count towards a token limit, and take no time.
	ReasoningTokens int

	// Answer, where not nil, may decide an answer: it returns false to leave a
	// call to the simulator. It may block; r.Context() ends with the call.
	Answer func(r Request) (Reply, bool)

	// Fail, where not nil, may decide a call's fault before the rates do. It
	// returns NoFault to leave it to them.
	Fail func(r Request) Fault

	// Ledger is the number of latest calls that Requests returns. 0 records none.
	Ledger int
}

// A Feature is a parameter that endpoints other than OpenAI's may refuse.
type Feature string

// The features that an endpoint may lack.
const (
	JSONSchema    Feature = "json_schema" // as response_format
	JSONObject    Feature = "json_object" // as response_format
	Temperature   Feature = "temperature" // any but 1
	MaxTokens     Feature = "max_tokens"  // max_completion_tokens is taken
	StreamOptions Feature = "stream_options"
	Tools         Feature = "tools"
)

// A CacheMode says from when on the prefix of a prompt counts as cached.
type CacheMode int

// The modes of the prefix cache. It is kept per model, in blocks of 128 tokens,
// from 1,024 tokens on, and forgets what was not used for long.
const (
	NoCache         CacheMode = iota
	CacheAtOnce               // as soon as a call with that prefix has arrived
	CacheFirstToken           // when the first token of an answer to that prefix has been sent
)

// A Request is one call, as the hooks and the ledger see it.
type Request struct {
	Index     int // of the call, from 0, in the order of arrival
	Time      time.Time
	Role      Role
	Model     string
	Messages  []Message
	Schema    string   // the name in response_format.json_schema, "" where none is asked for
	Tools     []string // the names of those on offer
	Stream    bool
	MaxTokens int         // max_completion_tokens or max_tokens, 0 where none is given
	Header    http.Header // as it came, with the API key

	ctx context.Context
}

// Context ends when the caller has gone, or the server is closed.
func (r Request) Context() context.Context { return r.ctx }

// Prompt is the text of all messages, a blank line between them.
func (r Request) Prompt() string {
	texts := make([]string, len(r.Messages))
	for i, m := range r.Messages {
		texts[i] = m.Text
	}
	return strings.Join(texts, "\n\n")
}

// A Message is one turn of the conversation. Its text parts are joined by newlines.
type Message struct {
	Author    string // "system", "user", …
	Text      string
	Images    int
	ToolCalls []ToolCall // that an assistant asked for
	Answers   string     // of a tool's result: the id of the call
}

// A ToolCall is the wish to have a tool called.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON
}

// A Reply is an answer that [Options.Answer] has decided.
type Reply struct {
	Text         string
	ToolCalls    []ToolCall
	FinishReason string // "" means "stop", or "tool_calls" where there are some
	Usage        *Usage // nil has it counted
}

// Usage counts tokens. Cached ones are part of Prompt, Reasoning ones part of Completion.
type Usage struct {
	Prompt     int
	Cached     int
	Completion int
	Reasoning  int
}
