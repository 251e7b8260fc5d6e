// Judges an AsyncAPI document with the parser of the AsyncAPI project; writes what it finds as JSON.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'));
const operations = document?.operations().all().map((operation) => operation.id()) ?? [];
console.log(JSON.stringify({ operations, diagnostics: diagnostics.map(({ severity, path, message }) => ({ severity, path, message })) }));
