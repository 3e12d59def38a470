package agent

import (
	"encoding/json"
	"fmt"
)

// namesPlan reports whether a key, as plainName makes it, is one under which a
// plan's subtasks stand.
func namesPlan(key string) bool { return key == "subtasks" || key == "tasks" || key == "plan" }

const brokenJSON = "The JSON cannot be read from here on: write the whole plan again as valid JSON, with quotes inside strings escaped."

func (r *planReader) inJSON(c byte, at int) bool {
	switch r.json.push(c, at) {
	case scanDone:
		r.mode = planProse
	case scanNot:
		r.mode = planProse
		for r.list != nil {
			r.list.breakOff(problemUnreadable, brokenJSON)
			r.endJSONList()
		}
		return false
	}
	return true
}

// open reports whether other lists may be found in a list: in none at all, and
// in a nameless one in which nothing could be read so far.
func (l *planList) open() bool { return l == nil || !l.named && !l.readable }

// jsonOpened hears that an object or array begins.
func (r *planReader) jsonOpened(v jsonValue) {
	l := r.list
	if l != nil && v.depth == l.depth+1 && v.kind == '{' {
		l.start, l.entry = v.start, planEntry{}
	}
	named := namesPlan(r.keyOf(v))
	if v.kind != '[' || !named && v.depth > 0 || !l.open() {
		return
	}
	r.list = r.newList(named, r.valueLead)
	r.list.depth, r.list.value, r.list.outer = v.depth, r.value, l
}

// jsonClosed hears that a value has ended.
func (r *planReader) jsonClosed(v jsonValue) {
	switch l := r.list; {
	case l != nil && v.depth == l.depth:
		r.endJSONList()
	case l != nil && v.depth == l.depth+1:
		r.addJSON(l, v)
	case l != nil && l.start >= 0 && v.depth == l.depth+2 && fieldOf[r.keyOf(v)] != 0:
		r.setJSON(&l.entry, fieldOf[r.keyOf(v)], v)
	case v.kind == '"' && l.open():
		r.keepString(v)
	}
}

// endJSONList ends the list now read and goes on with the one round it, unless
// the inner one turned out to be the plan.
func (r *planReader) endJSONList() {
	l := r.list
	r.list = l.outer
	if l.readable {
		r.list = nil
	}
	if l.analysis != "" && l.open() {
		r.analysis = l.analysis // it goes to the next list
	}
	r.consider(l)
}

// setJSON takes a field of the element that is read.
func (r *planReader) setJSON(entry *planEntry, f planField, v jsonValue) {
	if raw, err := r.mended(v); err == nil {
		entry.setJSON(f, raw)
	} else {
		entry.item.fault(f.pointer(), problemUnreadable, "It is not valid JSON: write the whole plan again.")
	}
}

// addJSON adds an element to a list.
func (r *planReader) addJSON(l *planList, v jsonValue) {
	place := len(l.items) + l.extra + 1
	if v.kind != '{' {
		l.entry = planEntry{}
		l.entry.item.fault("", problemUnreadable, fmt.Sprintf("Subtask %d is not an object: write each as an object with a description.", place))
	}
	l.described = l.described || l.entry.described()
	l.start = -1
	l.add(l.entry.done(place), r.most)
	r.added(l)
}

// mended returns a value of the answer as valid JSON.
func (r *planReader) mended(v jsonValue) (json.RawMessage, error) {
	r.work += v.end - v.start
	return mendJSON(r.text[v.start:v.end], maxPlanDepth)
}

// keyOf returns the key of a value, as plainName makes it.
func (r *planReader) keyOf(v jsonValue) string {
	if v.key.end-v.key.start > maxTagName {
		return "" // none that matters is so long
	}
	return plainName(string(r.text[v.key.start:v.key.end]))
}

// keepString looks at a string outside of any list: it may be the analysis, or
// hold the plan.
func (r *planReader) keepString(v jsonValue) {
	key := r.keyOf(v)
	if key != "analysis" && !namesPlan(key) {
		return
	}
	if text := r.textOf(v); key == "analysis" {
		r.analysis = trimmed(text)
	} else {
		r.readInner(text, r.valueLead)
	}
}

// textOf returns the text of a string.
func (r *planReader) textOf(v jsonValue) string {
	raw, err := r.mended(v)
	if err != nil {
		return ""
	}
	text, _ := jsonText(raw)
	return text
}

// readInner reads a JSON string's text as an answer of its own: models encode
// twice. Strings in it are not read again.
func (r *planReader) readInner(text string, lead bool) {
	if r.inner {
		return
	}
	in := newPlanReader(r.most)
	in.inner, in.known = true, r.known
	in.feed(text)
	in.end()
	r.work += in.work
	if l := in.best; l != nil {
		l.lead = lead
		l.value = r.value
		if l.analysis == "" {
			l.analysis = in.analysis
		}
		r.consider(l)
		r.added(l)
	}
}

// afterLeadingQuote decides whether the quote that an answer begins with begins
// a JSON string that may hold a plan.
func (r *planReader) afterLeadingQuote(c byte) bool {
	if c == '<' || c == '\\' || isOpening(c) || isBlank(c) {
		r.mode = planString
	} else {
		r.lead.over, r.mode = true, planProse
	}
	return false
}

// inString takes a byte of the JSON string that the answer is.
func (r *planReader) inString(c byte, at int) {
	switch {
	case r.escaped:
		r.escaped = false
	case c == '\\':
		r.escaped = true
	case c == '"':
		r.mode = planProse
		r.readInner(r.textOf(jsonValue{jsonSpan: jsonSpan{r.from, at + 1}}), r.begins())
	}
}
