package agent

// A jsonScan follows one JSON object or array byte by byte: strictly enough to
// tell JSON from prose at once, loosely enough to find the end of what can be
// mended (trailing and missing commas, single quotes, bare words, comments, raw
// newlines and bare quotes in strings). On valid JSON it is exact.
//
// It never goes back, so a text full of braces costs one look at each byte: what
// turns out not to be JSON is given up where that shows, and the search for JSON
// goes on from there.
type jsonScan struct {
	deepest int               // how many brackets may be open
	opened  func(v jsonValue) // an object or array begins; may be nil
	closed  func(v jsonValue) // a value has ended; may be nil
	frames  []jsonValue       // the open brackets
	state   jsonState         // what is read now
	comment byte              // 0: none; '/': its first byte was read; '\n', '*', '+': until a newline, a '*', the '/' after it
	quote   byte              // what the string began with
	naming  bool              // the string is a key
	newline bool              // there was a newline since the quote that may have ended the string
	key     jsonSpan          // the last key, empty in an array
	start   int               // where the string or word began
	end     int               // after the quote that may have ended the string
}

// A jsonSpan is a place in the text.
type jsonSpan struct{ start, end int }

// A jsonValue is a value's place in the text. Its end is 0 as long as it is open.
type jsonValue struct {
	jsonSpan
	kind  byte     // '{', '[', '"' for a string in any quotes, or 'w' for a word: a number, true, null …
	key   jsonSpan // of its key, without quotes; empty in an array
	depth int      // how many brackets are round it
}

type jsonState byte

const (
	jsonKey     jsonState = iota // a key or the end of the object
	jsonColon                    // a colon
	jsonElement                  // a value, or the end of the array
	jsonNext                     // a comma or a closing bracket
	jsonString                   // in a string
	jsonEscape                   // after its backslash
	jsonQuote                    // after a quote that ends the string if a delimiter follows
	jsonWord                     // in a bare value
	jsonName                     // in a bare key
)

type verdict byte

const (
	scanMore verdict = iota // the byte belongs to it, which goes on
	scanDone                // the byte was its last one
	scanNot                 // it is none; the byte does not belong to it
)

// begin starts over at an opening bracket.
func (s *jsonScan) begin(c byte, at int) {
	s.frames, s.comment, s.key = s.frames[:0], 0, jsonSpan{}
	s.open(c, at)
}

// push takes the next byte. After scanDone and scanNot the scan is over.
func (s *jsonScan) push(c byte, at int) verdict {
	if s.comment != 0 {
		return s.inComment(c, at)
	}
	switch s.state {
	case jsonString:
		s.inString(c, at)
		return scanMore
	case jsonEscape:
		s.state = jsonString
		return scanMore
	case jsonQuote:
		return s.afterQuote(c, at)
	case jsonWord, jsonName:
		return s.inWord(c, at)
	default:
		return s.between(c, at)
	}
}

// between takes a byte that stands between strings and words.
func (s *jsonScan) between(c byte, at int) verdict {
	if isBlank(c) {
		return scanMore
	}
	if c == '/' {
		s.comment = c
		return scanMore
	}
	array := s.frames[len(s.frames)-1].kind == '['
	switch {
	case c == ']' && array && s.state != jsonColon, c == '}' && !array && (s.state == jsonKey || s.state == jsonNext):
		return s.close(at)
	case c == ',' && (array || s.state == jsonKey || s.state == jsonNext):
		s.expect(array)
	case s.state == jsonNext && isQuote(c), s.state == jsonNext && array && isOpening(c): // a comma is missing
		s.expect(array)
		return s.between(c, at)
	case s.state == jsonColon && c == ':':
		s.state = jsonElement
	case s.state == jsonKey && isQuote(c), s.state == jsonElement && isQuote(c):
		s.quote, s.naming, s.start, s.state = c, s.state == jsonKey, at, jsonString
	case s.state == jsonKey && isWord(c):
		s.start, s.state = at, jsonName
	case s.state == jsonElement && isWord(c):
		s.start, s.state = at, jsonWord
	case s.state == jsonElement && isOpening(c):
		return s.open(c, at)
	default:
		return scanNot
	}
	return scanMore
}

// expect prepares for the next member of an array or object.
func (s *jsonScan) expect(array bool) {
	s.state, s.key = jsonKey, jsonSpan{}
	if array {
		s.state = jsonElement
	}
}

func (s *jsonScan) open(c byte, at int) verdict {
	if len(s.frames) == s.deepest {
		return scanNot
	}
	v := s.value(c, at, 0)
	s.frames = append(s.frames, v)
	s.expect(c == '[')
	if s.opened != nil {
		s.opened(v)
	}
	return scanMore
}

func (s *jsonScan) close(at int) verdict {
	v := s.frames[len(s.frames)-1]
	s.frames = s.frames[:len(s.frames)-1]
	v.end = at + 1
	s.tell(v)
	if len(s.frames) == 0 {
		return scanDone
	}
	return scanMore
}

func (s *jsonScan) value(kind byte, start, end int) jsonValue {
	return jsonValue{jsonSpan{start, end}, kind, s.key, len(s.frames)}
}

// tell reports a value that has ended.
func (s *jsonScan) tell(v jsonValue) {
	s.state = jsonNext
	if s.closed != nil {
		s.closed(v)
	}
}

func (s *jsonScan) inString(c byte, at int) {
	switch {
	case c == '\\':
		s.state = jsonEscape
	case c == s.quote && s.naming:
		s.key, s.state = jsonSpan{s.start + 1, at}, jsonColon
	case c == s.quote:
		s.state, s.newline, s.end = jsonQuote, false, at+1
	}
}

// afterQuote decides whether a quote ended the string: if not, the model forgot
// to escape it.
func (s *jsonScan) afterQuote(c byte, at int) verdict {
	switch {
	case isBlank(c):
		s.newline = s.newline || c == '\n'
	case c == '/':
		s.comment = c
	case c == ',', c == '}', c == ']', isQuote(c) && s.newline:
		s.endString()
		return s.between(c, at)
	case c == ':':
		return scanNot
	default:
		s.state = jsonString
		s.inString(c, at)
	}
	return scanMore
}

func (s *jsonScan) endString() {
	s.tell(s.value('"', s.start, s.end))
}

func (s *jsonScan) inWord(c byte, at int) verdict {
	switch {
	case isWord(c):
		return scanMore
	case s.state == jsonName:
		s.key, s.state = jsonSpan{s.start, at}, jsonColon
	default:
		s.tell(s.value('w', s.start, at))
	}
	return s.between(c, at)
}

func (s *jsonScan) inComment(c byte, at int) verdict {
	switch {
	case s.comment == '/' && (c == '/' || c == '*'):
		if s.state == jsonQuote {
			s.endString()
		}
		s.comment = map[byte]byte{'/': '\n', '*': '*'}[c]
	case s.comment == '/':
		s.comment = 0
		if s.state != jsonQuote {
			return scanNot
		}
		s.state = jsonString
		s.inString(c, at)
	case s.comment == '\n' && c == '\n', s.comment == '+' && c == '/':
		s.comment = 0
	case s.comment == '*' && c == '*':
		s.comment = '+'
	case s.comment == '+' && c != '*':
		s.comment = '*'
	}
	return scanMore
}

func isQuote(c byte) bool   { return c == '"' || c == '\'' }
func isOpening(c byte) bool { return c == '{' || c == '[' }

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c == '_' || c == '-' || c == '+' || c == '.' || c == '$'
}

// isBlank reports whether a byte is white space, a control character or part of
// a byte order mark.
func isBlank(c byte) bool { return c <= ' ' || c == 0xEF || c == 0xBB || c == 0xBF }
