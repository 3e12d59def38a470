package api

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// GetGraph shows the plan of a run as a graph.
func (s *server) GetGraph(ctx context.Context, request GetGraphRequestObject) (GetGraphResponseObject, error) {
	h, err := s.history(ctx, exchangeOf(ctx).tenant, request.Id)
	if err != nil {
		return nil, err
	}
	g := h.graph()
	switch request.Params.Format {
	case GetGraphParamsFormatJson:
		return ok(g), nil
	case GetGraphParamsFormatDot:
		return text{mediaType: "text/vnd.graphviz; charset=utf-8", text: g.dot()}, nil
	}
	return text{mediaType: "text/vnd.mermaid; charset=utf-8", text: g.mermaid()}, nil
}

func (h *history) graph() Graph {
	g := Graph{Subtasks: []GraphSubtask{}, Edges: []GraphEdge{}}
	for _, s := range h.run.Subtasks {
		if s.Dropped > 0 {
			continue
		}
		g.Subtasks = append(g.Subtasks, GraphSubtask{
			Id: s.ID, Kind: cmp.Or(s.Kind, orchestration.KindWorker), Type: s.Type, Parent: optional(s.Parent), Description: s.Description, Status: s.Status,
		})
		for _, on := range s.DependsOn {
			g.Edges = append(g.Edges, GraphEdge{From: on, To: s.ID})
		}
	}
	return g
}

// names returns a name for each subtask that is safe in every format: an id
// may be a keyword of one.
func (g Graph) names() map[string]string {
	names := make(map[string]string, len(g.Subtasks))
	for i, s := range g.Subtasks {
		names[s.Id] = fmt.Sprintf("s%d", i)
	}
	return names
}

// colors are of the statuses that are not pending.
var colors = []struct{ status, fill string }{
	{"running", "#cfe2ff"},
	{"waiting", "#fff3cd"},
	{"succeeded", "#d1e7dd"},
	{"failed", "#f8d7da"},
	{"skipped", "#e2e3e5"},
	{"canceled", "#e2e3e5"},
}

func (g Graph) mermaid() string {
	var b strings.Builder
	names := g.names()
	b.WriteString("flowchart TD\n")
	for _, s := range g.Subtasks {
		fmt.Fprintf(&b, "  %s[\"%s\"]:::%s\n", names[s.Id], mermaidText(s.label()), s.Status)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s --> %s\n", names[e.From], names[e.To])
	}
	for _, s := range g.Subtasks {
		if s.Parent != nil && names[*s.Parent] != "" {
			fmt.Fprintf(&b, "  %s -.-> %s\n", names[*s.Parent], names[s.Id])
		}
	}
	for _, c := range colors {
		fmt.Fprintf(&b, "  classDef %s fill:%s\n", c.status, c.fill)
	}
	return b.String()
}

func (g Graph) dot() string {
	var b strings.Builder
	names := g.names()
	b.WriteString("digraph run {\n  node [shape=box style=\"rounded,filled\" fillcolor=white]\n")
	for _, s := range g.Subtasks {
		fill := "white"
		for _, c := range colors {
			if c.status == string(s.Status) {
				fill = c.fill
			}
		}
		fmt.Fprintf(&b, "  %s [label=\"%s\" fillcolor=\"%s\"]\n", names[s.Id], dotText(s.label()), fill)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s -> %s\n", names[e.From], names[e.To])
	}
	for _, s := range g.Subtasks {
		if s.Parent != nil && names[*s.Parent] != "" {
			fmt.Fprintf(&b, "  %s -> %s [style=dashed]\n", names[*s.Parent], names[s.Id])
		}
	}
	b.WriteString("}\n")
	return b.String()
}

// label is the id, the kind where it is not a worker's, and the beginning of
// the description.
func (s GraphSubtask) label() string {
	const most = 60 // characters
	words := strings.Join(strings.FieldsFunc(s.Description, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(words); len(runes) > most {
		words = string(runes[:most-1]) + "…"
	}
	label := s.Id
	if s.Kind != orchestration.KindWorker {
		label += " (" + string(s.Kind) + ")"
	}
	return strings.TrimSuffix(label+": "+words, ": ")
}

// mermaidText writes every character that could mean something as an entity:
// mermaid renders labels as Markdown and HTML.
func mermaidText(label string) string {
	var b strings.Builder
	for _, r := range label {
		if strings.ContainsRune("\"'`#&;<>[](){}|\\*_~%", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func dotText(label string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(label)
}

// A text is an answer that is no JSON.
type text struct{ mediaType, text string }

// VisitGetGraphResponse writes the text.
func (a text) VisitGetGraphResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", a.mediaType)
	w.WriteHeader(http.StatusOK)
	_, err := io.WriteString(w, a.text)
	return err
}
