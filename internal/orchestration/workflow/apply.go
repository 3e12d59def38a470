package workflow

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/quote"
)

// A Launch is what a run of a template begins with.
type Launch struct {
	// Request is the caller's request over what the template presets: a JSON object,
	// without workflow and plan, with all of context.
	Request json.RawMessage
	// Plan is the template's, with others in their places. Nil: the planner plans.
	Plan   *orchestration.Plan
	Origin orchestration.Origin
}

// Apply returns what a run of the template begins with. The request is the
// caller's: a JSON object without duplicate keys. What it says goes before the
// template, key by key of planner, worker, synthesizer, limits and labels; its
// policy is added to the template's.
//
// The faults' pointers are into the request.
func (t *Template) Apply(request json.RawMessage, rules Rules) (Launch, []Fault) {
	launch := Launch{Origin: t.Origin()}
	asked := members(request)
	context, faults := t.Context(valueOf(asked, "context"), rules)
	if valueOf(asked, "plan") != nil {
		faults = append(faults, Fault{Pointer: "/plan", Code: "contradiction", Detail: "A run of a workflow has the workflow's plan."})
	}
	if t.Task == "" && valueOf(asked, "task") == nil {
		faults = append(faults, Fault{Pointer: "/task", Code: "required", Detail: "The workflow has no task of its own: say what is asked for."})
	}
	if t.Plan != nil {
		plan, problems := t.resolve(rules)
		launch.Plan = &plan
		for _, p := range problems {
			faults = append(faults, Fault{Pointer: "/workflow", Code: p.Code, Detail: p.Detail})
		}
	}
	whole := slices.Clone(t.Presets)
	for _, m := range asked {
		switch m.Key {
		case "workflow", "plan", "context":
			continue
		}
		i := slices.IndexFunc(whole, func(p Preset) bool { return p.Key == m.Key })
		if i < 0 {
			whole = append(whole, m)
		} else {
			whole[i].Value = over(m.Key, whole[i].Value, m.Value)
		}
	}
	launch.Request = object(append(whole, Preset{"context", context}))
	return launch, faults
}

// over lays what the caller says of a key over what the template does.
func over(key string, preset, asked json.RawMessage) json.RawMessage {
	switch key {
	case "planner", "worker", "synthesizer", "limits", "labels":
		whole := members(preset)
		for _, m := range members(asked) {
			i := slices.IndexFunc(whole, func(p Preset) bool { return p.Key == m.Key })
			if i < 0 {
				whole = append(whole, m)
			} else {
				whole[i].Value = m.Value
			}
		}
		return object(whole)
	case "policy":
		var both, more []json.RawMessage
		if json.Unmarshal(preset, &both) == nil && json.Unmarshal(asked, &more) == nil {
			if list, err := json.Marshal(append(both, more...)); err == nil {
				return list
			}
		}
	}
	return asked
}

// Context returns the context of a run: the parameters' defaults, in their
// order, under what the caller gives. The caller's may be nil; the faults'
// pointers are into the request: "/context/audience".
func (t *Template) Context(caller json.RawMessage, rules Rules) (json.RawMessage, []Fault) {
	var faults []Fault
	add := func(name, code, detail string) {
		faults = append(faults, Fault{Pointer: below("/context", name), Code: code, Detail: detail})
	}
	given := members(caller)
	var known []string
	var whole []Preset
	for _, p := range t.Parameters {
		known = append(known, p.Name)
		value := valueOf(given, p.Name)
		switch {
		case value != nil:
			if why := rules.conforms(p, value); why != "" {
				add(p.Name, "schema_violation", "The value does not satisfy the parameter's schema: "+why+".")
			}
		case p.Required:
			add(p.Name, "required", "The workflow needs the parameter "+p.Name+".")
			continue
		default:
			value = p.Default
		}
		if value != nil {
			whole = append(whole, Preset{p.Name, value})
		}
	}
	for _, m := range given {
		if !slices.Contains(known, m.Key) && len(faults) < maxFaults {
			add(m.Key, "unknown_parameter", "The workflow has no parameter "+shortly(m.Key)+hint(m.Key, known)+".")
		}
	}
	return object(whole), faults
}

// valueOf returns the value of a key, nil when there is none.
func valueOf(list []Preset, key string) json.RawMessage {
	for _, m := range list {
		if m.Key == key {
			return m.Value
		}
	}
	return nil
}

// object writes keys and values as a JSON object.
func object(list []Preset) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(append(quote.Append(nil, m.Key), ':'))
		b.Write(m.Value)
	}
	b.WriteByte('}')
	return b.Bytes()
}
