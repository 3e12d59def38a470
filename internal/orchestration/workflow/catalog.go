package workflow

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxFiles is the most templates of a folder.
const maxFiles = 1000

// A catalog is the templates of a folder. It does not change.
type catalog struct {
	list   []*Template          // by name, and by version in ascending order
	byName map[string]*Template // by name@version, and by name the highest version
}

// all returns the templates: by name, and by version in ascending order.
func (c *catalog) all() []*Template { return slices.Clone(c.list) }

// get returns the template of a name@version or, of a name alone, its highest
// version. A version may be written shorter than the template does: 1 is 1.0.
func (c *catalog) get(name string) (*Template, bool) {
	t, ok := c.byName[canonical(name)]
	return t, ok
}

func (c *catalog) names() []string {
	names := make([]string, len(c.list))
	for i, t := range c.list {
		names[i] = t.Name
	}
	return slices.Compact(names)
}

// load reads the *.yaml and *.yml files of a folder, not of those in it. Each is
// checked by the rules, whose Lookup and Names are those of the folder. With any
// fault of any file there is no catalog; the faults come by file and line.
func load(folder fs.FS, rules Rules) (*catalog, []Fault) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, []Fault{{Code: "unreadable", Detail: "The folder cannot be read: " + reason(err) + "."}}
	}
	c := &catalog{byName: map[string]*Template{}}
	var faults []Fault
	for _, e := range entries {
		if ext := path.Ext(e.Name()); e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		if len(c.list) == maxFiles {
			return nil, []Fault{{Code: "too_many", Detail: "The folder has more than " + strconv.Itoa(maxFiles) + " templates."}}
		}
		data, err := read(folder, e.Name())
		if err != nil {
			faults = append(faults, Fault{File: e.Name(), Code: "unreadable", Detail: "The file cannot be read: " + reason(err) + "."})
			continue
		}
		if t, found := Parse(e.Name(), data); t != nil {
			c.list = append(c.list, t)
		} else {
			faults = append(faults, found...)
		}
	}
	faults = append(faults, c.index()...)
	rules.Lookup, rules.Names = c.get, c.names
	check := func(bodies bool) {
		for _, t := range c.list {
			faults = append(faults, t.check(rules, bodies)...)
		}
	}
	if check(false); len(faults) == 0 {
		check(true)
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int {
			return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, faults
	}
	return c, nil
}

// index sorts the templates and names them. Of two with the same name and version
// the later file is refused.
func (c *catalog) index() (faults []Fault) {
	for _, t := range c.list {
		id := canonical(t.ID())
		if before := c.byName[id]; before != nil && t.Name != "" {
			faults = append(faults, t.tree.at("/version", "duplicate", "The file "+before.tree.file+" has the workflow "+before.ID()+" already."))
			continue
		}
		c.byName[id] = t
		if highest := c.byName[t.Name]; highest == nil || compareVersions(highest.Version, t.Version) < 0 {
			c.byName[t.Name] = t
		}
	}
	slices.SortStableFunc(c.list, func(a, b *Template) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareVersions(a.Version, b.Version))
	})
	return faults
}

// canonical returns a name@version with all three numbers of the version.
func canonical(name string) string {
	name, version, versioned := strings.Cut(name, "@")
	if !versioned {
		return name
	}
	return name + "@" + version + strings.Repeat(".0", max(0, 2-strings.Count(version, ".")))
}

// compareVersions orders versions by their numbers; one that is missing is 0.
func compareVersions(a, b string) int {
	for range 3 {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		i, _ := strconv.Atoi(x) // its form was checked, and "" is 0
		j, _ := strconv.Atoi(y)
		if c := cmp.Compare(i, j); c != 0 {
			return c
		}
	}
	return 0
}

// read reads a file, one byte more than a template may have at most.
func read(folder fs.FS, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// reason says why a file cannot be read, without its path.
func reason(err error) string {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return shortly(err.Error())
}
