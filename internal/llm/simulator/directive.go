package simulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A directive is what a task tells the simulator to do; see the package's doc.
// Zero values tell nothing.
type directive struct {
	subtasks int
	shape    string
	out      int
	latency  time.Duration
	paced    bool // latency was given, be it 0
}

const (
	directiveOpen  = "[[sim "
	directiveClose = "]]"
	maxDirective   = 200 // bytes of one
	maxDirectives  = 20  // that are looked at in one prompt

	maxSubtasks = 1000
	maxOut      = 4 << 20
	maxLatency  = 10 * time.Minute
)

// directives reads those of all messages. The first to set a key wins.
func directives(messages []Message) directive {
	var d directive
	left := maxDirectives
	for _, m := range messages {
		for text := m.Text; left > 0; left-- {
			_, rest, found := strings.Cut(text, directiveOpen)
			if !found {
				break
			}
			body, _, found := strings.Cut(rest[:min(len(rest), maxDirective)], directiveClose)
			if found {
				d.read(body)
			}
			text = rest
		}
	}
	return d
}

func (d *directive) read(body string) {
	for _, field := range strings.Fields(body) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "subtasks":
			if n, err := strconv.Atoi(value); err == nil && n > 0 && d.subtasks == 0 {
				d.subtasks = min(n, maxSubtasks)
			}
		case "shape":
			if d.shape == "" {
				d.shape = value
			}
		case "out":
			if n, err := strconv.Atoi(value); err == nil && n > 0 && d.out == 0 {
				d.out = min(n, maxOut)
			}
		case "latency":
			if l, err := time.ParseDuration(value); err == nil && l >= 0 && !d.paced {
				d.latency, d.paced = min(l, maxLatency), true
			}
		}
	}
}

// forWorkers is the directive that a planner hands on, led by a space; "" where there is none.
func (d *directive) forWorkers() string {
	var out string
	if d.out > 0 {
		out = fmt.Sprintf(" out=%d", d.out)
	}
	if d.paced {
		out += " latency=" + d.latency.String()
	}
	if out == "" {
		return ""
	}
	return " " + strings.TrimSpace(directiveOpen) + out + directiveClose
}
