package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A planField is a part of a subtask, under whatever name a model writes it.
type planField int

const (
	fieldID planField = iota + 1
	fieldType
	fieldWorkerType // the type, where none is given under its own name
	fieldKind
	fieldWorker
	fieldDescription
	fieldTask // this and the next three: the description, where none is given under its own name
	fieldInstructions
	fieldPrompt
	fieldContent
	fieldDependsOn
	planFields
)

// fieldOf maps names, as plainName makes them, to what they mean.
var fieldOf = map[string]planField{
	"id": fieldID, "taskid": fieldID, "subtaskid": fieldID,
	"type": fieldType, "workertype": fieldWorkerType, "kind": fieldKind, "worker": fieldWorker,
	"description": fieldDescription, "task": fieldTask, "instructions": fieldInstructions,
	"prompt": fieldPrompt, "content": fieldContent,
	"dependson": fieldDependsOn, "dependencies": fieldDependsOn,
}

// A planEntry is a subtask while its fields are read.
type planEntry struct {
	texts [planFields]string
	has   [planFields]bool
	deps  []string
	item  planItem
}

// set takes a field's text. A second text would silently displace the first one:
// often the sign of two subtasks run into one.
func (d *planEntry) set(f planField, text string) {
	if d.has[f] {
		d.item.fault(f.pointer(), problemUnreadable, "A subtask has one of its fields twice: write each subtask apart, and each field once.")
		return
	}
	d.has[f], d.texts[f] = true, trimmed(text)
}

// described reports whether the task has a description, though perhaps a blank one.
func (d *planEntry) described() bool {
	for f := fieldDescription; f <= fieldContent; f++ {
		if d.has[f] {
			return true
		}
	}
	return false
}

func (f planField) pointer() string {
	switch f {
	case fieldID:
		return "/id"
	case fieldType, fieldWorkerType:
		return "/type"
	case fieldKind:
		return "/kind"
	case fieldWorker:
		return "/worker"
	case fieldDependsOn:
		return "/depends_on"
	default:
		return "/description"
	}
}

// done makes the item of the fields, with place counted from 1.
func (d *planEntry) done(place int) planItem {
	item := &d.item
	item.dependsOn = d.deps
	if item.id = d.texts[fieldID]; meansNothing(item.id) {
		item.id = ""
	}
	item.style = d.name(fieldType, fieldWorkerType)
	item.worker = d.name(fieldWorker, fieldWorker)
	item.description = d.texts[fieldDescription]
	for f := fieldTask; f <= fieldContent && !d.has[fieldDescription]; f++ {
		if item.description == "" {
			item.description = d.texts[f]
		}
	}
	if kind := d.texts[fieldKind]; kind != "" && !strings.EqualFold(kind, string(orchestration.KindWorker)) {
		item.kind = cutText(kind, maxPlanName)
		item.fault("/kind", orchestration.ProblemUnknownKind,
			fmt.Sprintf("Subtask %d is of a kind that is not supported; only \"worker\" is.", place))
	}
	switch n := len(item.description); {
	case n > maxPlanDescription:
		item.description = cutText(item.description, maxPlanDescription)
		item.fault("/description", problemTooLong,
			fmt.Sprintf("The description of subtask %d has %d bytes; at most %d are allowed.", place, n, maxPlanDescription))
	case n == 0 && len(item.problems) == 0:
		item.fault("/description", orchestration.ProblemBlankDescription,
			fmt.Sprintf("Subtask %d has no description: say what is to be done.", place))
	}
	return *item
}

// name is the first of two fields that is not blank.
func (d *planEntry) name(f, otherwise planField) string {
	name := d.texts[f]
	if name == "" {
		name = d.texts[otherwise]
	}
	if len(name) > maxPlanName {
		d.item.fault(f.pointer(), problemTooLong, fmt.Sprintf("It has %d bytes; at most %d are allowed: name it in a few words.", len(name), maxPlanName))
	}
	return cutText(name, maxPlanName)
}

// setJSON takes a field's JSON value.
func (d *planEntry) setJSON(f planField, raw json.RawMessage) {
	if f == fieldDependsOn {
		d.dependJSON(raw)
		return
	}
	text, ok := jsonText(raw)
	switch {
	case !ok:
		d.item.fault(f.pointer(), problemUnreadable, "It must be a string.")
	case string(raw) != "null":
		d.set(f, text)
	}
}

// dependJSON takes depends_on: a list of ids or of objects with ids, or one
// text or number.
func (d *planEntry) dependJSON(raw json.RawMessage) {
	if raw[0] != '[' {
		if text, ok := jsonText(raw); ok {
			d.depend(text)
			return
		}
		raw = append(append(json.RawMessage{'['}, raw...), ']')
	}
	var elements []json.RawMessage
	_ = json.Unmarshal(raw, &elements) // raw is part of what was already parsed
	for i, e := range elements {
		text, ok := jsonText(e)
		if e[0] == '{' {
			eachMember(e, func(key string, value json.RawMessage) {
				if fieldOf[plainName(key)] == fieldID {
					text, ok = jsonText(value)
				}
			})
		}
		if text = trimmed(text); !ok {
			d.item.fault(fmt.Sprintf("/depends_on/%d", i), problemUnreadable, "It must be the id of a subtask.")
		} else if !meansNothing(text) {
			d.deps = append(d.deps, text)
		}
	}
}

var anyTag = regexp.MustCompile(`<[^<>]*>`)

// depend takes depends_on as text: ids with commas or line ends between them.
func (d *planEntry) depend(text string) {
	text = anyTag.ReplaceAllString(trimmed(text), ",")
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(",;\r\n", r) }) {
		part = strings.TrimLeft(strings.Trim(part, " \t[]\"'`"), "-*• ")
		if !meansNothing(part) {
			d.deps = append(d.deps, part)
		}
	}
}

// meansNothing reports whether a model wrote that it had nothing to write.
func meansNothing(s string) bool {
	switch strings.ToLower(s) {
	case "", "none", "null", "nil", "n/a":
		return true
	}
	return false
}

// jsonText returns a JSON scalar as text: a number as it is written, null as "".
func jsonText(raw json.RawMessage) (text string, ok bool) {
	switch raw[0] {
	case '{', '[':
		return "", false
	case '"':
		if bytes.IndexByte(raw, '\\') < 0 {
			return string(raw[1 : len(raw)-1]), true
		}
		return text, json.Unmarshal(raw, &text) == nil
	case 'n':
		return "", true
	default:
		return string(raw), true
	}
}

// eachMember calls f with the members of a valid JSON object in their order,
// repeated keys too.
func eachMember(object []byte, f func(key string, value json.RawMessage)) {
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token()
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return
		}
		name, _ := key.(string)
		f(name, value)
	}
}
