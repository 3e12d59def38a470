package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxURL bounds an address that arguments were put into, in bytes.
const maxURL = 8 << 10

// A target is a template of an address, parsed.
type target struct {
	base  *url.URL // scheme and host
	path  []part
	query []pair
}

// A part is a text that stands as it is, or the name of an argument.
type part struct{ text, name string }

// A pair is one of a query.
type pair struct {
	key   string // encoded
	value []part
}

var placeholder = regexp.MustCompile(`\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}`)

// parseTarget reads a template such as https://example.com/cities/{city}?units={units}.
func parseTarget(text string) (*target, error) {
	errForm := errors.New("it is no address such as https://example.com/cities/{city}")
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || strings.Contains(text, "#") || len(text) > maxURL {
		return nil, errForm
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	path, query, _ := strings.Cut(path, "?")
	if strings.ContainsAny(host, "{}") {
		return nil, errors.New("arguments may stand in its path and its query alone")
	}
	base, err := url.Parse(scheme + "://" + host)
	if err != nil || base.Hostname() == "" {
		return nil, errForm
	}
	t := &target{base: base}
	if t.path, err = parts(path); err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(query, "&") {
		if text == "" {
			continue
		}
		key, value, _ := strings.Cut(text, "=")
		p := pair{key: key}
		if p.value, err = parts(value); err != nil || strings.ContainsAny(key, "{}") {
			return nil, errors.New("in its query, arguments stand for values, as in ?units={units}")
		}
		t.query = append(t.query, p)
	}
	if _, err := url.Parse(scheme + "://" + host + placeholder.ReplaceAllString(path, "x") + "?" + placeholder.ReplaceAllString(query, "x")); err != nil {
		return nil, errForm
	}
	return t, nil
}

// parts divides a text at its placeholders.
func parts(text string) ([]part, error) {
	var list []part
	at := 0
	literal := func(to int) error {
		s := text[at:to]
		if strings.ContainsAny(s, "{}") {
			return errors.New("a { or } is no placeholder such as {city}")
		}
		if s != "" {
			list = append(list, part{text: s})
		}
		return nil
	}
	for _, m := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		if err := literal(m[0]); err != nil {
			return nil, err
		}
		list, at = append(list, part{name: text[m[2]:m[3]]}), m[1]
	}
	return list, literal(len(text))
}

// optional reports whether the pair is left out with its argument.
func (p pair) optional() bool { return len(p.value) == 1 && p.value[0].name != "" }

// check compares the placeholders with what the arguments are.
func (t *target) check(bad *faults, known *shape) {
	need := func(list []part, must bool) {
		for _, p := range list {
			_, declared := known.Properties[p.name]
			switch {
			case p.name == "":
			case !declared:
				bad.add(fmt.Sprintf("{%s} is none of the schema's properties", p.name), "http", "url")
			case must && !slices.Contains(known.Required, p.name):
				bad.add(fmt.Sprintf("{%s} must be required by the schema", p.name), "http", "url")
			}
		}
	}
	need(t.path, true)
	for _, p := range t.query {
		need(p.value, !p.optional())
	}
}

// An argumentFault is why arguments that fit the schema cannot be sent.
type argumentFault struct{ name, detail string }

func (f argumentFault) Error() string { return "/" + f.name + ": " + f.detail }

// fill returns the address with the arguments in their places, and what is left
// of them.
func (t *target) fill(arguments map[string]json.RawMessage) (*url.URL, map[string]json.RawMessage, error) {
	rest := maps.Clone(arguments)
	var path, query strings.Builder
	for _, p := range t.path {
		if p.name == "" {
			path.WriteString(p.text)
			continue
		}
		value, err := scalar(p.name, arguments[p.name])
		if err != nil {
			return nil, nil, err
		}
		if !tidy(value) {
			return nil, nil, argumentFault{p.name, "it cannot stand in a path"}
		}
		path.WriteString(url.PathEscape(value))
		delete(rest, p.name)
	}
	for _, p := range t.query {
		if name := p.value; p.optional() && absent(arguments[name[0].name]) {
			delete(rest, name[0].name)
			continue
		}
		separate(&query)
		query.WriteString(p.key + "=")
		for _, part := range p.value {
			if part.name == "" {
				query.WriteString(part.text)
				continue
			}
			value, err := scalar(part.name, arguments[part.name])
			if err != nil {
				return nil, nil, err
			}
			query.WriteString(url.QueryEscape(value))
			delete(rest, part.name)
		}
	}
	u, err := url.Parse(t.base.String() + path.String())
	if err != nil || path.Len()+query.Len() > maxURL {
		return nil, nil, argumentFault{"", "they make no address, or one that is too long"}
	}
	u.RawQuery = query.String()
	return u, rest, nil
}

// addQuery puts arguments into a query: an array as several of a name. What the
// template has written there is not theirs to say again, as some servers would take
// the last of a name.
func (t *target) addQuery(u *url.URL, arguments map[string]json.RawMessage) error {
	query := strings.Builder{}
	query.WriteString(u.RawQuery)
	for _, name := range slices.Sorted(maps.Keys(arguments)) {
		values := []json.RawMessage{arguments[name]}
		if list := []json.RawMessage(nil); json.Unmarshal(arguments[name], &list) == nil {
			values = list
		}
		for _, v := range values {
			if absent(v) {
				continue
			}
			if t.says(name) {
				return argumentFault{name, "it stands in the address already"}
			}
			text, err := scalar(name, v)
			if err != nil {
				return err
			}
			separate(&query)
			query.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(text))
		}
	}
	if query.Len() > maxURL {
		return argumentFault{"", "they make an address that is too long"}
	}
	u.RawQuery = query.String()
	return nil
}

// says reports whether the template's query has a pair of that name.
func (t *target) says(name string) bool {
	return slices.ContainsFunc(t.query, func(p pair) bool {
		key, err := url.QueryUnescape(p.key)
		return err == nil && key == name
	})
}

func separate(query *strings.Builder) {
	if query.Len() > 0 {
		query.WriteByte('&')
	}
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// scalar returns a string, number or truth value as text.
func scalar(name string, raw json.RawMessage) (string, error) {
	var s string
	switch {
	case absent(raw), raw[0] == '{', raw[0] == '[':
		return "", argumentFault{name, "want a text, a number, true or false"}
	case json.Unmarshal(raw, &s) == nil:
		return s, nil
	}
	return string(raw), nil
}

// tidy reports whether a text may be a segment of a path: however a server
// decodes it, it leads to no other place.
func tidy(text string) bool {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}
