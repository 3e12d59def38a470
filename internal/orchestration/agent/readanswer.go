package agent

import (
	"strings"
	"unicode/utf8"
)

// readAnswer returns the answer that a worker's or synthesizer's text holds:
//
//   - Thinking that the text begins with (<think>…</think> and the like) is left
//     out, as is all that comes before a closing tag of thinking that was never
//     opened. Thinking that does not end is no answer.
//   - In what is left, the text inside the first <response>…</response>, nested
//     ones kept as text. A tag that is not closed runs to the end, and what comes
//     after the closing tag is left out, a second <response> too. Without the tag,
//     or with one right after a quote or backtick only, it is all of it.
//   - A code fence round the answer stays: the answer may be code.
//
// It has no white space round it, is "" if there is nothing else, and has U+FFFD
// for NUL and for what is not UTF-8.
//
//go:noinline
func readAnswer(text string) string { // its reader would be on the stack of a call that waits
	var r answerReader
	return trimmed(r.Write(text) + r.Close())
}

// An answerReader reads an answer piece by piece: all that Write and Close return,
// put together, is what readAnswer returns of the whole, but for white space
// round it. Only an answer in <response> that the text begins with, or that comes
// after thinking, is told while it is written; before any other, thinking may turn
// out to have been, so that Close tells it. The zero value is ready for use.
type answerReader struct {
	tag     tagScan
	raw     []byte // of the tag now read
	think   string // the name of the thinking now read, "" outside
	begun   bool   // the answer, or what comes before its <response>, has begun
	thought bool   // thinking was opened, so that a closing tag says nothing new
	depth   int    // how many <response> are open
	inside  bool   // a <response> was opened
	over    bool   // and closed again
	certain bool   // what is visible can no longer turn out to be thinking
	tail    []byte // a </response>, and blanks after it, that may have been the last one
	visible []byte // the answer, as far as it was not told
	told    bool
}

// Write takes the next piece and returns what of the answer it made certain.
func (r *answerReader) Write(piece string) string {
	for piece != "" {
		if !r.tag.on { // outside tags nothing has to be looked at byte by byte
			plain := strings.IndexByte(piece, '<')
			if plain < 0 {
				plain = len(piece)
			}
			if r.think == "" {
				r.plain(piece[:plain])
			}
			if piece = piece[plain:]; piece == "" {
				break
			}
		}
		for !r.take(piece[0]) {
			continue
		}
		piece = piece[1:]
	}
	if !r.certain {
		return ""
	}
	return r.tell(false)
}

// Close ends the answer and returns the rest of it. Nothing may be called after it.
func (r *answerReader) Close() string {
	if r.tag.on && r.think == "" && (!r.inside || !cutClosing(string(r.raw))) {
		r.text(r.raw...)
	}
	return r.tell(true)
}

const responseTag = "response"

// cutClosing reports whether an answer was cut off within its closing tag.
func cutClosing(s string) bool {
	const closing = "</" + responseTag + ">"
	return len(s) > 2 && len(s) < len(closing) && strings.EqualFold(s, closing[:len(s)])
}

func knowsAnswerTag(name string) bool { return name == responseTag || isThinking(name) }

// take looks at a byte. It returns false if it is to be looked at again.
func (r *answerReader) take(c byte) bool {
	switch {
	case r.tag.on:
		return r.inTag(c)
	case c == '<':
		r.tag.knows = knowsAnswerTag
		r.tag.begin(0)
		r.raw = append(r.raw[:0], c)
	case r.think == "":
		r.text(c)
	}
	return true
}

func (r *answerReader) inTag(c byte) bool {
	verdict := r.tag.push(c, len(r.raw))
	if verdict != scanNot {
		r.raw = append(r.raw, c)
	}
	switch {
	case verdict == scanDone:
		r.tagged(r.tag.tag)
	case verdict == scanNot && r.think == "":
		r.text(r.raw...)
	}
	return verdict != scanNot
}

func (r *answerReader) tagged(t readTag) {
	opening := !t.closing && !t.empty
	switch thinking := isThinking(t.name); {
	case r.think != "":
		if t.closing && t.name == r.think {
			r.think = ""
		}
	case thinking && opening && !r.begun:
		r.think, r.thought = t.name, true
	case thinking && t.closing && !r.certain && (!r.thought || !r.begun):
		*r = answerReader{tag: r.tag, raw: r.raw, thought: true}
	case t.name == responseTag && opening && !r.inside && !r.quoted():
		r.certain = r.thought || !r.begun
		r.begun, r.inside, r.depth = true, true, 1
		r.visible = r.visible[:0]
	case t.name == responseTag && t.closing && !r.over:
		r.depth--
		r.over = r.inside && r.depth == 0
		r.flushTail()
		r.tail = append(r.tail, r.raw...)
	default:
		if t.name == responseTag && opening {
			r.depth++ // of no meaning before the first one
		}
		r.thought = r.thought || thinking
		r.text(r.raw...)
	}
}

// quoted reports whether a tag stands right after a quote or backtick: such a
// <response> is spoken of, or is code.
func (r *answerReader) quoted() bool {
	n := len(r.visible)
	return n > 0 && len(r.tail) == 0 && strings.IndexByte("\"'`", r.visible[n-1]) >= 0
}

// text takes text outside of tags and thinking.
func (r *answerReader) text(text ...byte) {
	for _, c := range text {
		switch {
		case r.over:
		case isBlank(c) && len(r.tail) > 0:
			r.tail = append(r.tail, c)
		default:
			r.begun = r.begun || !isBlank(c)
			r.flushTail()
			r.visible = append(r.visible, c)
		}
	}
}

// plain is text, in one go.
func (r *answerReader) plain(text string) {
	if r.over {
		return
	}
	blank := 0
	for blank < len(text) && isBlank(text[blank]) {
		blank++
	}
	if len(r.tail) > 0 {
		r.tail = append(r.tail, text[:blank]...)
		text, blank = text[blank:], 0
	}
	if blank < len(text) {
		r.begun = true
		r.flushTail()
	}
	r.visible = append(r.visible, text...)
}

// flushTail makes the closing tag that was not the last one text.
func (r *answerReader) flushTail() {
	r.visible = append(r.visible, r.tail...)
	r.tail = r.tail[:0]
}

// tell returns what is visible and was not told: whole characters, until the end.
func (r *answerReader) tell(end bool) string {
	text := r.visible
	if n := len(text); !end {
		for back := 1; back <= min(n, utf8.UTFMax-1); back++ {
			if utf8.RuneStart(text[n-back]) {
				if !utf8.FullRune(text[n-back:]) {
					text = text[:n-back]
				}
				break
			}
		}
	}
	s := mendText(string(text))
	r.visible = r.visible[len(text):]
	if !r.told {
		s = strings.TrimLeftFunc(s, isSpace)
		r.told = s != ""
	}
	return s
}
