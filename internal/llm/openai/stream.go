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
)

// An answer is what came back, whole or in part.
type answer struct {
	text       string
	refusal    string
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

// read reads a stream of server-sent events to its end.
func read(from *body, onText func(string), watch *watch) (got answer, err error) {
	var text strings.Builder
	defer func() { got.text = text.String() }()
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
				return got, broken // it is the half of a line
			}
			return got, errNoAnswer
		}
		if len(c.Error) > 0 && string(c.Error) != "null" {
			return got, readFault(http.StatusOK, nil, data)
		}
		chunks++
		watch.chunk()
		if c.Usage != nil {
			got.usage = *c.Usage
		}
		for i := range c.Choices {
			choice := &c.Choices[i]
			if choice.Index != 0 {
				continue
			}
			got.refusal += choice.Delta.Refusal
			if choice.FinishReason != "" {
				got.finish = choice.FinishReason
			}
			if len(choice.Delta.Reasoning) > len("null") || len(choice.Delta.Thought) > len("null") {
				watch.token()
			}
			piece := choice.Delta.Content
			if piece == "" {
				continue
			}
			watch.token()
			if got.firstToken.IsZero() {
				got.firstToken = time.Now()
			}
			text.WriteString(piece)
			if onText != nil {
				onText(piece)
			}
		}
	}
	switch err := lineError(lines); {
	case err != nil:
		return got, err
	case chunks == 0 && !done:
		return got, errNoAnswer
	case !done && got.finish == "":
		return got, errBrokeOff
	}
	return got, nil
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
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
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
