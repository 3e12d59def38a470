package readme

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tutti-run/tutti/test/service"
)

const root = "../.."

var (
	source   = regexp.MustCompile("`/?([A-Za-z0-9_.-][A-Za-z0-9_./-]*\\.(?:go|ya?ml|json))`")
	link     = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	variable = regexp.MustCompile(`\b(?:TUTTI|OPENAI)_[A-Z_]+\b`)
)

// pages returns our Markdown files.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			text, err := os.ReadFile(path)
			texts[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestLinks has every link between our pages lead somewhere.
func TestLinks(t *testing.T) {
	for page, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), found[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestSources has every file that our pages name exist, at the end of some path.
func TestSources(t *testing.T) {
	var paths []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		paths = append(paths, filepath.ToSlash(path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, text := range pages(t) {
		for _, found := range source.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(paths, func(path string) bool { return strings.HasSuffix(path, "/"+found[1]) }) {
				t.Errorf("%s: there is no %s", page, found[1])
			}
		}
	}
}

// TestSettings has docs/configuration.md explain the settings that server -h
// lists, and no others, and no page speak of others.
func TestSettings(t *testing.T) {
	help, err := service.Command("-h").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := names(string(help))
	texts := pages(t)
	if diff := cmp.Diff(known, names(texts[filepath.Join(root, "docs", "configuration.md")])); diff != "" {
		t.Errorf("docs/configuration.md (-server -h +docs):\n%s", diff)
	}
	for page, text := range texts {
		for _, name := range names(text) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no setting %s", page, name)
			}
		}
	}
}

func names(text string) []string {
	set := map[string]bool{}
	for _, name := range variable.FindAllString(text, -1) {
		set[name] = true
	}
	return slices.Sorted(maps.Keys(set))
}
