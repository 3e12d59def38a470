// Package prometheus holds what watches the service to the metrics that there
// are.
package prometheus

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const deploy = "../../deploy"

var (
	definition = regexp.MustCompile(`f\.(counters|gauge|function|functionOf|constant|histograms?)\(\s*"([a-z0-9_]+)"`)
	mention    = regexp.MustCompile(`\btutti_([a-z0-9_]+)`)
)

// TestNames has every metric that a dashboard, an alert or a page names be one
// that package metrics defines, and every one that it defines on the dashboard.
func TestNames(t *testing.T) {
	known := defined(t)
	for _, root := range []string{deploy, "../../docs", "../../README.md", "../../CONTRIBUTING.md"} {
		for file, names := range mentioned(t, root) {
			for _, name := range names {
				if !known[name] {
					t.Errorf("%s: there is no metric tutti_%s", file, name)
				}
			}
		}
	}
	shown := mentioned(t, filepath.Join(deploy, "grafana", "dashboards"))
	for name := range known {
		if !slices.Contains(slices.Concat(slices.Collect(maps.Values(shown))...), name) {
			t.Errorf("no dashboard shows tutti_%s", name)
		}
	}
}

// defined reads the names of all metrics from where they are made.
func defined(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, text := range files(t, "../../internal/metrics") {
		for _, found := range definition.FindAllStringSubmatch(text, -1) {
			known[found[2]] = true
		}
	}
	if len(known) < 20 {
		t.Fatalf("only %d metrics were found", len(known))
	}
	return known
}

// mentioned returns the names in each file, those of a histogram's parts as the histogram's.
func mentioned(t *testing.T, root string) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	for file, text := range files(t, root) {
		for _, found := range mention.FindAllStringSubmatch(text, -1) {
			name := found[1]
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				name = strings.TrimSuffix(name, part)
			}
			names[file] = append(names[file], name)
		}
	}
	return names
}

func files(t *testing.T, root string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestForm has every file of the deployment be YAML or JSON, and Grafana find
// the data source that the dashboard is provisioned with.
func TestForm(t *testing.T) {
	for file, text := range files(t, deploy) {
		var err error
		switch filepath.Ext(file) {
		case ".json":
			err = json.Unmarshal([]byte(text), new(any))
		case ".yaml", ".yml":
			err = yaml.Unmarshal([]byte(text), new(any))
		default:
			t.Errorf("%s: what is it?", file)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
