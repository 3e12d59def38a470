package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// An answer is what came back, whole or in part.
type answer struct {
	text       string
	refusal    string
	calls      []llm.ToolCall
	finish     api.FinishReason
	usage      api.Usage
	firstToken time.Time
}

// A chunk of a streamed answer: only what is read of it, as decoding is what
// streams cost.
type chunk struct {
	Choices []struct {
		Index int `json:"index"`
		Delta struct {
			Content   string          `json:"content"`
			Refusal   string          `json:"refusal"`
			ToolCalls []toolCall      `json:"tool_calls"`
			Reasoning json.RawMessage `json:"reasoning"`         // vLLM, OpenRouter
			Thought   json.RawMessage `json:"reasoning_content"` // DeepSeek, older vLLM
		} `json:"delta"`
		FinishReason api.FinishReason `json:"finish_reason"`
	} `json:"choices"`
	Usage *api.Usage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// maxLine bounds one line of a stream. Some endpoints send it all in one.
const maxLine = 4 << 20

// stream asks for an answer piece by piece. go-openai sends the request; its
// reader is passed over, since it bounds neither lines nor what it gathers of
// keep-alives, gives up after 300 of these, and costs more than all the rest.
func (c *Client) stream(ctx context.Context, x *exchange, wire api.ChatCompletionRequest, onText func(string)) (answer, error) {
	watch := c.watch(x)
	defer watch.stop()
	sent, err := c.api.CreateChatCompletionStream(ctx, wire)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = sent.Close() }()
	got, err := read(x.body, onText, watch)
	if err != nil {
		x.abort(err) // the rest is not worth reading
	}
	return got, err
}

// A gathering is what has come of a streamed answer.
type gathering struct {
	answer
	text   strings.Builder
	calls  toolCalls
	onText func(string)
	watch  *watch
}

// read reads a stream of server-sent events to its end.
func read(from *body, onText func(string), watch *watch) (answer, error) {
	g := gathering{onText: onText, watch: watch}
	err := g.read(from)
	g.answer.text, g.answer.calls = g.text.String(), g.calls.calls()
	return g.answer, err
}

func (g *gathering) read(from *body) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	chunks, done := 0, false
	for !done && lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue // a blank line, a comment to keep the connection, or a field that says nothing new
		}
		if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
			done = true
			break
		}
		var c chunk
		if err := json.Unmarshal(data, &c); err != nil && !c.inParts(data, err) {
			if broken := lineError(lines); broken != nil {
				return broken // it is the half of a line
			}
			return errNoAnswer
		}
		if len(c.Error) > 0 && string(c.Error) != "null" {
			return readFault(http.StatusOK, nil, data)
		}
		chunks++
		if err := g.take(&c); err != nil {
			return err
		}
	}
	switch err := lineError(lines); {
	case err != nil:
		return err
	case chunks == 0 && !done:
		return errNoAnswer
	case !done && g.finish == "":
		return errBrokeOff
	}
	return nil
}

// take takes in a chunk.
func (g *gathering) take(c *chunk) error {
	g.watch.chunk()
	if c.Usage != nil {
		g.usage = *c.Usage
	}
	for i := range c.Choices {
		choice := &c.Choices[i]
		if choice.Index != 0 {
			continue
		}
		said := &choice.Delta
		g.refusal += said.Refusal
		if choice.FinishReason != "" {
			g.finish = choice.FinishReason
		}
		if len(said.Reasoning) > len("null") || len(said.Thought) > len("null") {
			g.watch.token()
		}
		if said.Content != "" || len(said.ToolCalls) > 0 {
			g.token()
		}
		for k := range said.ToolCalls {
			if err := g.calls.add(&said.ToolCalls[k]); err != nil {
				return err
			}
		}
		if said.Content == "" {
			continue
		}
		g.text.WriteString(said.Content)
		if g.onText != nil {
			g.onText(said.Content)
		}
	}
	return nil
}

// token says that a part of the answer has come.
func (g *gathering) token() {
	g.watch.token()
	if g.firstToken.IsZero() {
		g.firstToken = time.Now()
	}
}

func lineError(lines *bufio.Scanner) error {
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return errTooLarge
	}
	return lines.Err()
}

// inParts mends a chunk whose content is not a string but a list of parts, as
// Mistral's reasoning models send it, and reports whether it could.
func (c *chunk) inParts(data []byte, err error) bool {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok || !strings.HasSuffix(wrong.Field, "content") {
		return false
	}
	var parts struct {
		Choices []struct {
			Delta struct {
				Content []struct {
					Text string `json:"text"`
				} `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if json.Unmarshal(data, &parts) != nil || len(parts.Choices) != len(c.Choices) {
		return false
	}
	for i, choice := range parts.Choices {
		for _, part := range choice.Delta.Content {
			c.Choices[i].Delta.Content += part.Text
		}
	}
	return true
}

// A watch aborts a streamed call that has been silent for too long.
type watch struct {
	abort context.CancelCauseFunc
	idle  time.Duration
	timer *time.Timer
	begun bool // the first token has come
}

func (c *Client) watch(x *exchange) *watch {
	return &watch{
		abort: x.abort,
		idle:  c.idle,
		timer: time.AfterFunc(c.firstToken, func() { x.abort(errNoToken) }),
	}
}

// token says that the model has begun to answer, or to think.
func (w *watch) token() {
	if w.begun {
		return
	}
	w.begun = true
	w.timer.Stop()
	w.timer = time.AfterFunc(w.idle, func() { w.abort(errIdle) })
}

// chunk says that something came. Before the first token it does not count:
// many endpoints open the stream long before the model begins.
func (w *watch) chunk() {
	if w.begun {
		w.timer.Reset(w.idle)
	}
}

func (w *watch) stop() { w.timer.Stop() }
