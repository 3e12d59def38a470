package openai

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	api "github.com/sashabaranov/go-openai"

	"github.com/tutti-run/tutti/internal/llm"
)

// An answer is what came back, whole or in part.
type answer struct {
	text       string
	refusal    string
	calls      []llm.ToolCall
	finish     api.FinishReason
	whole      bool // it was not streamed
	usage      billing
	firstToken time.Time
}

// maxLine bounds one line of a stream. Some endpoints send it all in one.
const maxLine = 4 << 20

// stream asks for an answer piece by piece.
func (c *Client) stream(ctx context.Context, x *exchange, wire *request, onText func(string)) (answer, error) {
	watch := c.watch(x)
	defer watch.stop()
	if _, err := c.api.CreateChatCompletionStream(ctx, wire.bare()); err != nil {
		return answer{}, err
	}
	defer func() { _ = x.body.Close() }()
	from := bufio.NewReaderSize(x.body, 16) // to look ahead; what is longer passes it by
	if beginsJSON(from) {
		return readWhole(x, from)
	}
	got, err := read(from, onText, watch)
	if err != nil {
		x.abort(err) // the rest is not worth reading
	}
	return got, err
}

// beginsJSON reports whether what comes is no stream but JSON: the whole answer,
// from an endpoint that does not know how to stream it, or an error.
func beginsJSON(from *bufio.Reader) bool {
	for {
		c, err := from.ReadByte()
		if err != nil {
			return false
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			_ = from.UnreadByte()
			return c == '{'
		}
	}
}

// A gathering is what has come of a streamed answer.
type gathering struct {
	answer
	text    strings.Builder
	refusal strings.Builder
	calls   toolCalls
	halves  halves
	onText  func(string)
	watch   *watch
}

// read reads a stream of server-sent events to its end.
func read(from io.Reader, onText func(string), watch *watch) (answer, error) {
	g := gathering{onText: onText, watch: watch}
	err := g.read(from)
	g.answer.text, g.answer.refusal, g.answer.calls = g.text.String(), g.refusal.String(), g.calls.calls()
	return g.answer, err
}

func (g *gathering) read(from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	var c chunk
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
		if !bytes.HasPrefix(data, []byte("{")) {
			continue // a null, or nothing at all: another way to keep the connection
		}
		c = chunk{Choices: c.Choices[:0]}
		if err := json.Unmarshal(g.halves.join(data), &c, lenient); err != nil {
			if lineError(lines) != nil {
				break // it is the half of a line
			}
			return errNoAnswer
		}
		if len(c.Error) > 0 && string(c.Error) != "null" {
			if told := readFault(http.StatusOK, nil, data); told != nil {
				return told
			}
			return errNoAnswer // another member, of a name much like it, says that there is none
		}
		chunks++
		if err := g.take(&c); err != nil {
			return err
		}
	}
	switch err := lineError(lines); {
	case err != nil && g.finish != "" && !errors.Is(err, errTooLarge):
		// All of the answer is there, if not what it took.
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
	if c.Usage != (billing{}) {
		g.usage = c.Usage
	}
	for i := range c.Choices {
		choice := &c.Choices[i]
		if choice.Index != 0 {
			continue
		}
		said := &choice.Delta
		g.refusal.WriteString(said.Refusal)
		if choice.FinishReason != "" {
			g.finish = choice.FinishReason
		}
		if said.Reasoning || said.Thought {
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
		g.text.WriteString(string(said.Content))
		if g.onText != nil {
			g.onText(string(said.Content))
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
