package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	tutti "github.com/tutti-run/tutti"
	"github.com/tutti-run/tutti/internal/orchestration"
)

const folder = "../../../workflows"

// TestSchemaHasTheLanguage holds workflows/schema.json to the plan language as the
// core reads it: the same keys, both ways round.
func TestSchemaHasTheLanguage(t *testing.T) {
	// What nobody writes: the core, or the putting together of templates, sets it.
	const notWritten = " version implied uses passes kept parent round defaults "
	for at, of := range map[string]reflect.Type{
		"/properties/plan":                                              reflect.TypeFor[orchestration.Plan](),
		"/$defs/subtask":                                                reflect.TypeFor[orchestration.Subtask](),
		"/$defs/subtask/properties/decide":                              reflect.TypeFor[orchestration.Decide](),
		"/$defs/subtask/properties/for_each":                            reflect.TypeFor[orchestration.ForEach](),
		"/$defs/subtask/properties/loop":                                reflect.TypeFor[orchestration.Loop](),
		"/$defs/subtask/properties/plan":                                reflect.TypeFor[orchestration.Nested](),
		"/$defs/subtask/properties/approval":                            reflect.TypeFor[orchestration.Approval](),
		"/$defs/subtask/properties/workflow":                            reflect.TypeFor[orchestration.Inlined](),
		"/$defs/subtask/properties/retry":                               reflect.TypeFor[orchestration.Retry](),
		"/$defs/check":                                                  reflect.TypeFor[orchestration.Check](),
		"/$defs/tool_call":                                              reflect.TypeFor[orchestration.ToolCall](),
		"/$defs/parameter":                                              reflect.TypeFor[Parameter](),
		"/$defs/subtask/properties/on_failure/then/properties/fallback": reflect.TypeFor[orchestration.Fallback](),
	} {
		var keys []string
		for i := range of.NumField() {
			key, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			inlined := of == reflect.TypeFor[orchestration.Inlined]() && key == "body"
			if key != "-" && !inlined && !strings.Contains(notWritten, " "+key+" ") {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		if diff := cmp.Diff(keys, theShape().keys("#"+at)); diff != "" {
			t.Errorf("%s (-core +schema)\n%s", at, diff)
		}
	}
}

// TestSchemaHasTheRequest holds what a template may preset to what openapi.yaml
// lets a request say.
func TestSchemaHasTheRequest(t *testing.T) {
	var contract struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `yaml:"properties"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(tutti.OpenAPI, &contract); err != nil {
		t.Fatal(err)
	}
	for key, schema := range map[string]string{"planner": "PlannerRequest", "worker": "WorkerRequest", "synthesizer": "SynthesizerRequest", "limits": "LimitsRequest"} {
		want := slices.Sorted(maps.Keys(contract.Components.Schemas[schema].Properties))
		if diff := cmp.Diff(want, theShape().keys("#/properties/"+key)); diff != "" {
			t.Errorf("%s (-openapi.yaml +schema)\n%s", key, diff)
		}
	}
	request := contract.Components.Schemas["RunRequest"].Properties
	for _, key := range theShape().keys("#") {
		if _, known := request[key]; !known && !slices.Contains([]string{"name", "version", "description", "parameters"}, key) {
			t.Errorf("a request has no %s", key)
		}
	}
}

// TestSchemaIsStrict has every object of the schema that names its keys refuse
// others.
func TestSchemaIsStrict(t *testing.T) {
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, named := v["properties"].(map[string]any); named && fmt.Sprint(v["additionalProperties"]) != "false" {
				t.Errorf("%s takes unknown keys", at)
			}
			for key, value := range v {
				walk(at+"/"+key, value)
			}
		case []any:
			for _, value := range v {
				walk(at, value)
			}
		}
	}
	var document any
	if err := json.Unmarshal(tutti.WorkflowSchema, &document); err != nil {
		t.Fatal(err)
	}
	walk("", document)
}

// TestShipped reads the templates that the server comes with.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w, faults := Parse(filepath.Base(file), text)
			if w == nil || len(faults) > 0 {
				t.Fatalf("%s", lines(faults))
			}
			if w.Name+".yaml" != filepath.Base(file) {
				t.Errorf("its name is %s", w.Name)
			}
			if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=schema.json\n") {
				t.Error("editors are not told of the schema")
			}
		})
	}
	c, faults := load(os.DirFS(folder), rules())
	if kindsKnown() && (c == nil || len(faults) > 0) {
		t.Errorf("%s", lines(faults))
	}
}
