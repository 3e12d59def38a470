package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kaptinlin/jsonrepair"
)

// Bounds of JSON in answers.
const (
	maxJSONAnswer = 4 << 20  // bytes
	maxJSONDepth  = 100      // open brackets
	maxMendable   = 32 << 10 // bytes mended an answer: jsonrepair takes quadratic time
)

// ReadJSON returns the one JSON value of an answer: the answer itself, without
// thinking and <response>, if it is JSON; otherwise the object or array that it
// begins with, which must then be readable; otherwise the longest object or array
// in it, the last of equals. Faults that leave no doubt (a trailing comma, single
// quotes, a comment, True and None …) are mended in values of up to 32 kB. A value
// that is cut off is refused.
func ReadJSON(text string) (json.RawMessage, error) {
	if len(text) > maxJSONAnswer {
		return nil, fmt.Errorf("the answer has %d bytes; at most %d are read as JSON", len(text), maxJSONAnswer)
	}
	text = ReadAnswer(text)
	if isScalar(text) && json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	found, err := findJSON(text)
	if err != nil {
		return nil, err
	}
	mender := jsonMender{left: maxMendable}
	return mender.mend([]byte(found))
}

func isScalar(text string) bool { return text != "" && !isOpening(text[0]) }

// findJSON returns the text of the object or array that ReadJSON speaks of.
func findJSON(text string) (best string, err error) {
	scan, lead := jsonScan{deepest: maxJSONDepth}, leadIn{}
	start, open, leading := 0, false, false
	for i := range len(text) {
		c, verdict := text[i], scanNot
		if open {
			verdict = scan.push(c, i)
			open = verdict == scanMore
		}
		switch {
		case verdict == scanDone && len(best) <= i-start:
			best = text[start : i+1]
		case verdict == scanNot && leading:
			return "", errors.New("the answer begins with JSON that could not be read to its end")
		case verdict == scanNot && isOpening(c):
			start, open, leading = i, true, !lead.over
			lead.over = true
			scan.begin(c, i)
		case verdict == scanNot:
			lead.pass(c)
		}
		if verdict == scanDone && leading {
			return best, nil
		}
	}
	switch {
	case open && (leading || best == ""):
		return "", errors.New("the answer ends within its JSON: it was cut off, or a bracket is missing")
	case best == "":
		return "", errors.New("the answer has no JSON object or array that could be read")
	}
	return best, nil
}

// A leadIn tells whether an answer has begun: blanks and the line of an opening
// fence come before that.
type leadIn struct {
	over  bool
	fence bool // on the line of the fence
}

// pass takes a byte of prose.
func (l *leadIn) pass(c byte) {
	switch {
	case isBlank(c):
		l.fence = l.fence && c != '\n'
	case c == '`', c == '~':
		l.fence = true
	case !l.fence || !isWord(c):
		l.over = true
	}
}

// A jsonMender makes valid JSON of what nearly is, as long as its allowance lasts.
type jsonMender struct {
	left int // bytes
}

// mend returns valid JSON as it is, and other JSON mended.
func (m *jsonMender) mend(raw []byte) (fixed json.RawMessage, err error) {
	if bytes.IndexByte(raw, 0) >= 0 {
		raw = bytes.ReplaceAll(raw, []byte{0}, []byte("\uFFFD"))
	}
	if json.Valid(raw) {
		return raw, nil
	}
	if len(raw) > m.left {
		return nil, fmt.Errorf("the JSON is not valid, and too long to be mended: at most %d bytes are", maxMendable)
	}
	m.left -= len(raw)
	defer func() {
		if recover() != nil { // the library is fed text that nobody has checked
			fixed, err = nil, errors.New("the JSON is not valid and cannot be mended")
		}
	}()
	mended, err := jsonrepair.Repair(string(raw))
	if err != nil || !json.Valid([]byte(mended)) {
		return nil, errors.New("the JSON is not valid and cannot be mended")
	}
	return json.RawMessage(mended), nil
}
