package agent

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Bounds of JSON in answers.
const (
	maxJSONAnswer = 4 << 20 // bytes
	maxJSONDepth  = 100     // open brackets
)

// readJSON returns the one JSON value of an answer: the answer itself if it is
// JSON; otherwise the object or array that it begins with, which must then be
// readable; otherwise the longest object or array in it, the last of equals. The
// answer is the text as it is, where that begins with a value that can be read,
// and else what readAnswer makes of it. Faults that leave no doubt are mended:
// trailing and missing commas, single quotes, bare keys, raw newlines and bare
// quotes in strings, comments, True and None. A value that is cut off is refused,
// and counts for as long as it is.
func readJSON(text string) (json.RawMessage, error) {
	if len(text) > maxJSONAnswer {
		return nil, fmt.Errorf("the answer has %d bytes; at most %d are read as JSON", len(text), maxJSONAnswer)
	}
	text = answerWithJSON(text)
	if isScalar(text) && json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	found, _, err := findJSON(text)
	if err != nil {
		return nil, err
	}
	return mendJSON([]byte(found), maxJSONDepth)
}

// answerWithJSON returns the answer that readJSON speaks of.
func answerWithJSON(text string) string {
	if asItIs := trimmed(text); isLed(asItIs) {
		return asItIs
	}
	return readAnswer(text)
}

// isLed reports whether a text begins with an object or array that can be read.
func isLed(text string) bool {
	_, leads, err := findJSON(text)
	return leads && err == nil
}

func isScalar(text string) bool { return text != "" && !isOpening(text[0]) }

var errCutOff = errors.New("the answer ends within its JSON: it was cut off, or a bracket is missing")

// findJSON returns the text of the object or array that readJSON speaks of, and
// whether the text begins with it.
func findJSON(text string) (found string, leads bool, err error) {
	scan, lead := jsonScan{deepest: maxJSONDepth}, leadIn{}
	start, open := 0, false
	for i := range len(text) {
		c, verdict := text[i], scanNot
		if open {
			verdict = scan.push(c, i)
			open = verdict == scanMore
		}
		switch {
		case verdict == scanMore:
			continue
		case verdict == scanDone && len(found) <= i+1-start:
			found = text[start : i+1]
		case verdict == scanNot && leads:
			return "", true, errors.New("the answer begins with JSON that could not be read to its end")
		case verdict == scanNot && isOpening(c):
			start, open, leads = i, true, !lead.over
			lead.over = true
			scan.begin(c, i)
		case verdict == scanNot:
			lead.pass(c)
		}
		if verdict == scanDone && leads {
			return found, true, nil
		}
	}
	switch {
	case open && (leads || len(text)-start > len(found)):
		return "", leads, errCutOff
	case found == "":
		return "", false, errors.New("the answer has no JSON object or array that could be read")
	}
	return found, false, nil
}

// A leadIn tells whether an answer has begun: blanks and the line of an opening
// fence come before that.
type leadIn struct {
	over  bool
	marks int // of a fence, so far on this line
}

// pass takes a byte of prose.
func (l *leadIn) pass(c byte) {
	switch {
	case c == '\n':
		l.marks = 0
	case isBlank(c):
	case c == '`', c == '~':
		l.marks++
	case l.marks < 3 || !isWord(c): // no language of a fence
		l.over = true
	}
}
