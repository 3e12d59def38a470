package workflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Template is a workflow as its file says. It must not be changed.
type Template struct {
	Name        string
	Version     string // one to three numbers: "1.2.0"
	Hash        string // SHA-256 of the file, in hex
	Description string
	Parameters  []Parameter // in the file's order

	// What it presets of a request, in the file's order: task, planner, worker,
	// synthesizer, limits, policy, on_failure, review_plan, cache, labels.
	Presets     []Preset
	Task        string
	Planner     orchestration.Planner
	Worker      orchestration.Worker
	Synthesizer orchestration.Synthesizer

	// Plan is as written but for what may be left out: ids, kinds, and so on. Other
	// workflows in it are not yet put in their places. Nil: the planner plans.
	Plan *orchestration.Plan

	policy []orchestration.Check
	tree   *tree
	shape  []Fault // what Parse found
}

// A Preset is a key of a request that a template gives a value.
type Preset struct {
	Key   string
	Value json.RawMessage
}

// A Parameter is a key of context that a run of the template has.
type Parameter struct {
	Name        string          `json:"-"`
	Description string          `json:"description"`
	Required    bool            `json:"required"`
	Default     json.RawMessage `json:"default"` // any JSON value; nil: there is none
	Schema      json.RawMessage `json:"schema"`  // nil: any value will do
}

// ID returns name@version.
func (t *Template) ID() string { return t.Name + "@" + t.Version }

// Origin returns what a run keeps of where it is from.
func (t *Template) Origin() orchestration.Origin {
	return orchestration.Origin{Name: t.Name, Version: t.Version, Hash: t.Hash}
}

// JSON returns the whole template as a JSON object, in the file's order.
func (t *Template) JSON() json.RawMessage { return bytes.Clone(t.tree.json) }

// Parameter returns the parameter of that name.
func (t *Template) Parameter(name string) (Parameter, bool) {
	i := slices.IndexFunc(t.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return t.Parameters[i], true
}

// Parse reads a template in YAML. The name is that of the file, for the faults.
// It takes at most 1 MB, 50,000 values, 64 levels and 1,000 bytes of keys above a value, no anchors, aliases, merge
// keys, tags or duplicate keys, and everything that JSON has not as text.
//
// All faults come at once, up to a hundred, by line. With faults a template may come too, as far
// as it could be read: it is for [Template.Check] alone, to find what else is
// wrong.
func Parse(name string, data []byte) (*Template, []Fault) { return parse(readTree(name, data), data) }

// parseJSON reads a template in JSON, such as one in a request.
func parseJSON(name string, data []byte) (*Template, []Fault) {
	return parse(readJSONTree(name, data), data)
}

// A document is a template as encoding/json reads it.
type document struct {
	Name        string                    `json:"name"`
	Version     string                    `json:"version"`
	Description string                    `json:"description"`
	Parameters  json.RawMessage           `json:"parameters"`
	Task        string                    `json:"task"`
	Planner     orchestration.Planner     `json:"planner"`
	Worker      orchestration.Worker      `json:"worker"`
	Synthesizer orchestration.Synthesizer `json:"synthesizer"`
	Policy      []orchestration.Check     `json:"policy"`
	Plan        *orchestration.Plan       `json:"plan"`
}

func parse(from *tree, data []byte) (*Template, []Fault) {
	if from.json == nil {
		return nil, inOrder(from.faults)
	}
	value := from.decoded()
	faults := theShape().check(from, value)
	if len(faults) >= maxFaults { // what else there may be helps nobody
		return nil, inOrder(append(faults, from.faults...))
	}
	raw := from.json
	if len(faults) > 0 {
		var err error
		if raw, err = json.Marshal(prune(value, faults)); err != nil { // it came of JSON
			return nil, inOrder(append(faults, from.faults...))
		}
	}
	faults = append(faults, from.faults...)
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		if len(faults) == 0 {
			faults = []Fault{from.at("", "invalid", "The template cannot be read: "+shortly(err.Error())+".")}
		}
		return nil, inOrder(faults)
	}
	sum := sha256.Sum256(data)
	t := &Template{
		Name: d.Name, Version: d.Version, Hash: hex.EncodeToString(sum[:]), Description: d.Description,
		Task: d.Task, Planner: d.Planner, Worker: d.Worker, Synthesizer: d.Synthesizer, Plan: d.Plan,
		policy: d.Policy, tree: from, shape: inOrder(faults),
	}
	for _, m := range members(raw) {
		switch m.Key {
		case "name", "version", "description", "plan":
		case "parameters":
			t.parameters(m.Value)
		default:
			t.Presets = append(t.Presets, m)
		}
	}
	if t.Plan != nil {
		t.Plan.Version = 1
		complete(t.Plan.Subtasks)
	}
	return t, t.shape
}

func (t *Template) parameters(raw json.RawMessage) {
	for _, m := range members(raw) {
		p := Parameter{Name: m.Key}
		_ = json.Unmarshal(m.Value, &p) // what cannot be read is a fault already
		t.Parameters = append(t.Parameters, p)
	}
}

// complete fills in what a subtask may leave out: the id T1, T2, … by place, the
// kind, and when it starts.
func complete(subtasks []orchestration.Subtask) {
	for i := range subtasks {
		s := &subtasks[i]
		if s.ID == "" {
			s.ID = fmt.Sprintf("T%d", i+1)
		}
		if s.Kind == "" {
			s.Kind = orchestration.KindWorker
		}
		if s.Type == "" && s.Kind == orchestration.KindWorker {
			s.Type = orchestration.DefaultType
		}
		if s.After == "" {
			s.After = orchestration.AfterSucceeded
		}
		if s.ForEach != nil {
			complete(s.ForEach.Body)
		}
		if s.Loop != nil {
			complete(s.Loop.Body)
		}
	}
}

// members returns the keys and values of a JSON object, in its order. What is
// none has none.
func members(object json.RawMessage) []Preset {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if start, err := d.ReadToken(); err != nil || start.Kind() != '{' {
		return nil
	}
	var list []Preset
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return list
		}
		key := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return list
		}
		list = append(list, Preset{key, json.RawMessage(value.Clone())})
	}
	return list
}

// subtaskPart matches the pointer of the innermost subtask that a pointer leads
// into.
var subtaskPart = regexp.MustCompile(`^.*/(subtasks|body)/\d+`)

// hides reports whether a fault that Parse found explains one at a pointer: it
// is of the same value, or of a part that was not read and that the value lacks now.
func (t *Template) hides(pointer string) bool {
	for _, f := range t.shape {
		if f.Pointer == "" {
			continue
		}
		if within(pointer, f.Pointer) {
			return true
		}
		switch f.Code {
		case "wrong_type", "invalid_duration", "out_of_range", "too_many", "not_supported", "invalid_number":
			if subtask := subtaskPart.FindString(f.Pointer); subtask != "" && within(f.Pointer, pointer) && within(pointer, subtask) {
				return true
			}
		}
	}
	return false
}
