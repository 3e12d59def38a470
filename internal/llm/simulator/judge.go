package simulator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A judged is what the schema of an evaluator's answer asks for.
type judged struct {
	verdict bool     // whether a rubric is satisfied
	options []string // of which one is to be chosen
}

func judgment(schema jsontext.Value) judged {
	var root any
	if len(schema) == 0 || json.Unmarshal(schema, &root) != nil {
		return judged{}
	}
	b := &builder{root: root}
	properties := b.properties(root)
	j := judged{verdict: properties["satisfied"] != nil && properties["feedback"] != nil}
	enum, _ := b.one(properties["option"])["enum"].([]any)
	for _, v := range enum {
		if option, ok := v.(string); ok {
			j.options = append(j.options, option)
		}
	}
	return j
}

// aim is what the value of a schema is to say.
func (c *composer) aim(schema jsontext.Value) aim {
	if c.role != Evaluator {
		return aim{mark: c.mark()}
	}
	a := aim{option: c.choose(judgment(schema).options)}
	a.approve, a.feedback = c.verdict()
	return a
}

// verdict says whether the output to be judged has been revised often enough.
func (c *composer) verdict() (satisfied bool, feedback string) {
	revised := revisionIn(c.last("<output"))
	if revised >= c.wish.unsatisfied {
		return true, simulated + " Nothing to object to."
	}
	return false, fmt.Sprintf("%s Not yet: revision %d should say more of what is asked for.", simulated, revised+1)
}

// choose returns the option that a directive names, else the first.
func (c *composer) choose(options []string) string {
	if len(options) == 0 || slices.Contains(options, c.wish.option) {
		return c.wish.option
	}
	return options[0]
}

// judge is an evaluator's answer where no schema is asked for.
func (c *composer) judge() string {
	var options []string
	if _, list, ok := strings.Cut(c.last("<question>"), "</question>"); ok {
		options = elements(list, "option")
	}
	satisfied, feedback := c.verdict()
	switch words := string(quote(nil, feedback)); {
	case len(options) > 0:
		return `{"option":` + string(quote(nil, c.choose(options))) + "}"
	case c.shows("<rubric>"):
		return fmt.Sprintf(`{"satisfied":%t,"feedback":%s}`, satisfied, words)
	case satisfied:
		return `{"pass":true,"score":1,"feedback":` + words + "}"
	default:
		return `{"pass":false,"score":0,"feedback":` + words + "}"
	}
}
