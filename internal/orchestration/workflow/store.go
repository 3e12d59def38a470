package workflow

import (
	"encoding/json"
	"io/fs"
	"sync/atomic"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// A Store has the catalog of a folder that counts now. It may be used from many
// goroutines.
type Store struct {
	folder fs.FS
	rules  Rules
	now    atomic.Pointer[catalog]
}

// NewStore reads a folder. Every template is checked by the rules, whose Lookup
// and Names are the store's own.
func NewStore(folder fs.FS, rules Rules) (*Store, []Fault) {
	s := &Store{folder: folder, rules: rules}
	if faults := s.Reload(); faults != nil {
		return nil, faults
	}
	return s, nil
}

// Reload reads the folder again. Where anything is wrong with it, it says so and
// the catalog stays what it was.
func (s *Store) Reload() []Fault {
	c, faults := load(s.folder, s.rules)
	if c != nil {
		s.now.Store(c)
	}
	return faults
}

// List returns all templates: by name, and by version in ascending order.
func (s *Store) List() []*Template { return s.now.Load().all() }

// Get returns the template of a name@version or, of a name alone, its highest
// version.
func (s *Store) Get(name string) (*Template, bool) { return s.now.Load().get(name) }

// Rules returns what templates and plans from elsewhere are checked by: the
// store's rules, with its templates to be found. A reload does not change them: no
// plan is made of templates from before it and after it.
func (s *Store) Rules() Rules {
	r, now := s.rules, s.now.Load()
	r.Lookup, r.Names = now.get, now.names
	return r
}

// Read reads a template in JSON or, what is none, in YAML, and checks it whole.
// With faults a template may come too, as far as it could be read.
func (s *Store) Read(source []byte) (*Template, []Fault) { return s.Rules().Read("", source) }

// Apply returns what a run of a template begins with: see [Template.Apply].
func (s *Store) Apply(t *Template, request json.RawMessage) (Launch, []Fault) {
	return t.Apply(request, s.Rules())
}

// Resolve puts templates into the places that a plan has for them: see
// [Rules.Resolve].
func (s *Store) Resolve(plan orchestration.Plan) (orchestration.Plan, []orchestration.Problem) {
	return s.Rules().Resolve(plan)
}
