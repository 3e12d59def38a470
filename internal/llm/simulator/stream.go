package simulator

import (
	"net/http"
	"strconv"
	"time"
)

// A stream sends an answer as server-sent events. Events that come at once
// are written together.
type stream struct {
	c    *call
	rc   *http.ResponseController
	head string // of each chunk, up to its choices
	tail string // of each chunk, after its choices
	buf  []byte
}

// flushBytes is how much is held back where nothing is waited for.
const flushBytes = 16 << 10

func (c *call) sendStream() {
	if !c.wait(c.pace.latency) {
		return
	}
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Request-Id", "req_"+c.id())
	c.status(http.StatusOK)
	s := &stream{c: c, rc: http.NewResponseController(c.w), tail: "]}\n\n"}
	s.head = string(c.appendHead([]byte("data: "), "chat.completion.chunk"))
	if c.usageWanted() {
		s.tail = `],"usage":null}` + "\n\n"
	}
	s.send()
}

func (c *call) usageWanted() bool {
	return c.body.StreamOptions != nil && c.body.StreamOptions.IncludeUsage
}

func (s *stream) send() {
	c := s.c
	s.delta(`"role":"assistant","content":"","refusal":null`, "", "")
	if c.pace.first > 0 {
		s.flush()
	}
	if !c.wait(c.pace.first) || !s.pieces() || !s.calls() {
		return
	}
	switch c.fault {
	case Reset:
		s.flush()
		c.abort()
	case Cut:
		s.flush()
		return
	case StreamError:
		s.buf = append(s.buf, "data: "...)
		s.buf = faultErrors[ServerError].append(s.buf)
		s.buf = append(s.buf, "\n\n"...)
		s.flush()
		return
	}
	s.end()
}

// breaks says whether a fault ends the answer in its middle.
func (f Fault) breaks() bool { return f == Reset || f == Cut || f == StreamError }

// calls sends the calls of tools, or the half of the first that a fault lets
// through: each one's name, then its arguments in pieces. It returns false when
// the caller has gone.
func (s *stream) calls() bool {
	c := s.c
	for i, asked := range c.answer.calls {
		index := `"tool_calls":[{"index":` + strconv.Itoa(i) + ","
		s.member(string(asked.append([]byte(index), "")) + "}]")
		if i == 0 {
			c.sent()
		}
		s.flush()
		text := asked.Arguments
		if c.fault.breaks() {
			text = text[:runeStart(text, len(text)/2)]
		}
		for text != "" {
			if !c.wait(time.Duration(s.perChunk()) * c.pace.interval) {
				return false
			}
			end := runeStart(text, s.perChunk()*tokenBytes)
			s.member(index + `"function":{"arguments":` + string(quote(nil, text[:end])) + "}}]")
			s.flush()
			text = text[end:]
		}
		if c.fault.breaks() {
			break
		}
	}
	return true
}

func (s *stream) perChunk() int { return max(1, s.c.sim.opts.ChunkTokens) }

// member adds a chunk whose delta has one member.
func (s *stream) member(text string) { s.delta(text, "", "") }

// pieces sends the text, or the half of it that a fault lets through. It
// returns false when the caller has gone.
func (s *stream) pieces() bool {
	c := s.c
	key, text := `"content":`, c.answer.text
	if c.answer.refusal != "" {
		key, text = `"refusal":`, c.answer.refusal
	}
	if c.fault.breaks() {
		text = text[:runeStart(text, len(text)/2)]
	}
	perChunk := s.perChunk()
	sent := 0
	for mark := perChunk * tokenBytes; sent < len(text); mark += perChunk * tokenBytes {
		end := runeStart(text, mark)
		if end == sent {
			continue // a rune's middle, of the smallest pieces
		}
		if sent > 0 && !c.wait(time.Duration(perChunk)*c.pace.interval) {
			return false
		}
		s.delta(key, text[sent:end], "")
		if sent == 0 {
			c.sent()
			s.flush()
		} else if c.pace.interval > 0 || len(s.buf) >= flushBytes {
			s.flush()
		}
		sent = end
	}
	return true
}

func (s *stream) end() {
	s.delta("", "", s.c.answer.finish)
	if s.c.usageWanted() {
		s.buf = append(s.buf, s.head...)
		s.buf = append(s.buf, `],"usage":`...)
		s.buf = s.c.answer.usage.append(s.buf)
		s.buf = append(s.buf, "}\n\n"...)
	}
	s.buf = append(s.buf, "data: [DONE]\n\n"...)
	s.flush()
	s.c.answered()
}

// delta adds a chunk: a delta of a key and, if not empty, its text.
func (s *stream) delta(key, text, finish string) {
	s.buf = append(s.buf, s.head...)
	s.buf = append(s.buf, `{"index":0,"delta":{`...)
	s.buf = append(s.buf, key...)
	if text != "" {
		s.buf = quote(s.buf, text)
	}
	s.buf = append(s.buf, `},"logprobs":null,"finish_reason":`...)
	s.buf = quoteOrNull(s.buf, finish)
	s.buf = append(s.buf, '}')
	s.buf = append(s.buf, s.tail...)
}

func (s *stream) flush() {
	_, _ = s.c.w.Write(s.buf) // a caller that has gone needs no answer
	_ = s.rc.Flush()
	s.buf = s.buf[:0]
}
