package templates

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/workflow"
	"github.com/tutti-run/tutti/test/service"
)

// rewrite has the graphs of the pages drawn anew:
//
//	go test ./test/templates -run TestPages -rewrite
var rewrite = flag.Bool("rewrite", false, "draw the graphs of docs/workflows anew")

var (
	curlBody = regexp.MustCompile(`(?s)curl [^\n]*127\.0\.0\.1:8080/v1/runs\b.*?-d '(.*?)'\n`)
	drawing  = regexp.MustCompile("(?s)```mermaid\n(.*?)```\n")
)

// TestPages holds each template's page in docs/workflows to the template: it names
// the parameters and their defaults, its request works, and its graph is the plan's.
func TestPages(t *testing.T) {
	own := shipped(t)
	tooled, _ := withTools(t)
	for _, folder := range []struct {
		pattern string
		server  *service.Server
	}{{"workflows/*.yaml", own}, {"examples/tools/workflows/*.yaml", tooled}} {
		for _, file := range files(t, folder.pattern) {
			template, faults := workflow.Parse(file, read(t, file))
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			t.Run(template.Name, func(t *testing.T) { holdPage(t, folder.server, template, filepath.Base(file)) })
		}
	}
}

func holdPage(t *testing.T, s *service.Server, template *workflow.Template, file string) {
	t.Helper()
	if file != template.Name+".yaml" {
		t.Errorf("%s has the workflow %s", file, template.Name)
	}
	path := filepath.Join(root, "docs", "workflows", template.Name+".md")
	page := string(read(t, path))
	index := string(read(t, filepath.Join(root, "docs", "workflows", "README.md")))
	if !strings.HasPrefix(page, "# "+template.Name+"\n") || !strings.Contains(index, "("+template.Name+".md)") {
		t.Error("the page has another title, or the index does not know it")
	}
	for _, p := range template.Parameters {
		row := "| `" + p.Name + "` | required |"
		if !p.Required {
			row = "| `" + p.Name + "` | `" + string(p.Default) + "` |"
		}
		if !strings.Contains(page, row) {
			t.Errorf("the page does not have: %s", row)
		}
	}
	body := curlBody.FindStringSubmatch(page)
	if body == nil {
		t.Fatal("the page has no request by curl")
	}
	r := ask(t, s, body[1])
	if r.Status != "succeeded" && r.Status != "waiting" {
		t.Errorf("the page's request: the run is %s: %+v", r.Status, r.Error)
	}
	found := drawing.FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no graph")
	}
	if template.Plan == nil {
		return // the planner's plans differ
	}
	graph := graphOf(t, s, r.ID)
	if *rewrite {
		page = strings.Replace(page, found[1], graph, 1)
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(found[1], graph); diff != "" {
		t.Errorf("the graph is another one; -rewrite draws it (-page +plan):\n%s", diff)
	}
}

// graphOf draws the plan of a run, without the bodies that it has expanded to.
func graphOf(t *testing.T, s *service.Server, run string) string {
	t.Helper()
	var graph struct {
		Subtasks []struct {
			ID, Type string
			Kind     orchestration.Kind
			Parent   *string
		}
		Edges []struct{ From, To string }
	}
	a := s.Get(t, "/v1/runs/"+run+"/graph?format=json")
	if err := json.Unmarshal(a.Body, &graph); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, n := range graph.Subtasks {
		if n.Parent != nil {
			continue
		}
		form, what := `["%s<br/>%s"]`, string(n.Kind)
		switch n.Kind {
		case orchestration.KindDecide:
			form = `{"%s<br/>%s"}`
		case orchestration.KindApproval:
			form = `{{"%s<br/>%s"}}`
		case orchestration.KindWorker:
			if what = n.Type; what == orchestration.DefaultType {
				what = "worker"
			}
		}
		fmt.Fprintf(&b, "  %s"+form+"\n", n.ID, n.ID, what)
	}
	for _, e := range graph.Edges {
		if !strings.Contains(e.From+e.To, ".") {
			fmt.Fprintf(&b, "  %s --> %s\n", e.From, e.To)
		}
	}
	return b.String()
}
