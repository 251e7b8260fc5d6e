// The project lies in a temporary folder, with links to what is installed elsewhere.
export default { serverExternalPackages: ['ws'] };
