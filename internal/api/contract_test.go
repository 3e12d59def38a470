package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// enum returns the values that openapi.yaml lists.
func enum(t *testing.T, s *openapi3.Schema) []string {
	t.Helper()
	var all []string
	for _, v := range s.Enum {
		all = append(all, v.(string))
	}
	slices.Sort(all)
	return all
}

func TestContractKnowsEveryCodeAndEvent(t *testing.T) {
	schemas := openAPI().doc.Components.Schemas
	var codes []string
	for code, k := range kinds {
		codes = append(codes, string(code))
		if k.title == "" || k.status < 400 {
			t.Errorf("%s: %+v", code, k)
		}
	}
	slices.Sort(codes)
	if got := enum(t, schemas["Code"].Value); !slices.Equal(got, codes) {
		t.Errorf("openapi.yaml has the codes %v, the table has %v", got, codes)
	}
	events := enum(t, schemas["Event"].Value.Properties["type"].Value)
	for _, e := range orchestration.EventTypes() {
		if !slices.Contains(events, e) {
			t.Errorf("openapi.yaml does not know the event %s", e)
		}
	}
}

func TestContractIsServed(t *testing.T) {
	s := New(Options{Metrics: nil}).(chi.Router)
	for path, item := range openAPI().doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !s.Match(chi.NewRouteContext(), method, path) && path != "/metrics" {
				t.Errorf("%s %s is not served", method, path)
			}
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s %s is not described", method, path)
			}
			for status, r := range op.Responses.Map() {
				if status >= "4" && r.Value.Content.Get("application/problem+json") == nil {
					t.Errorf("%s %s: %s is no problem", method, path, status)
				}
			}
		}
	}
}

func TestContractExamplesPass(t *testing.T) {
	c := serve(t, nil)
	for path, item := range openAPI().doc.Paths.Map() {
		if item.Post == nil || item.Post.RequestBody == nil || strings.Contains(path, "{id}") {
			continue
		}
		media := item.Post.RequestBody.Value.Content.Get(typeJSON)
		examples := []any{media.Example}
		for _, e := range media.Examples {
			examples = append(examples, e.Value.Value)
		}
		for _, e := range examples {
			if e == nil {
				continue
			}
			if r := c.do("POST", path, toJSON(t, e)); r.status >= 300 {
				t.Errorf("%s: the example is refused: %s", path, r.body)
			}
		}
	}
}
